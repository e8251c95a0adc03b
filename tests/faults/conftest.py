"""Prints how many faults of each kind were held."""


def pytest_terminal_summary(terminalreporter):
    """Writes the lines of `held.all_held`, of tests in other processes too."""
    lines = [
        text
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == "held"
    ]
    if lines:
        terminalreporter.section("faults")
        for line in sorted(lines):
            terminalreporter.write_line(line)
