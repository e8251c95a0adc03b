import pytest

# Its tests are collected in other files; what they assert is to be shown, too.
pytest.register_assert_rewrite("tests.install.installed")
