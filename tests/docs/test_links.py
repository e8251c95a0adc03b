"""Links of README and docs lead somewhere."""

import pytest

from tests.docs import links
from tests.docs.blocks import pages


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page):
    assert not links.broken(page), "\n".join(["", *links.broken(page)])


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("docs/data.md", True),
        ("docs/data.md#masks", True),
        ("docs/data.md#photos-photos-without-tags", True),
        ("#a-heading-of-mine-1", True),
        ("https://example.org/none", True),
        ("docs/none.md", False),
        ("docs/data.md#none", False),
        ("#none", False),
        ("#no-heading", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found(target, leads):
    text = f"# A *heading*, of `mine`!\n\n## A heading of mine\n\n[x]({target})\n"
    text += "\n```\n# no heading\n[x](none.md)\n```\n"
    found = links.broken("README.md", text)
    assert bool(found) != leads
    assert all(line.startswith(f"README.md:5: {target}: ") for line in found)
