"""Examples of hypothesis are the same in every run, however busy the machine is."""

from hypothesis import settings

settings.register_profile("kregkit", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("kregkit")
