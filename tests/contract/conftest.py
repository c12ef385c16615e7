"""Property tests here compare whole tables; on a busy machine one may take long."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
