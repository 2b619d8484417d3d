"""Charts: what a reader sees of their axes."""

import re

from api.page.charts import Line, line_chart


def ticks(chart):
    return [float(text) for text in re.findall(r'text-anchor="middle">([^<]+)<', chart)]


def test_what_is_counted_has_whole_numbers_below_it():
    line = Line("accuracy", [(1, 0.5), (2, 0.7)])
    assert ticks(line_chart([line], title="by epoch", x_name="epoch", x_counts=True)) == [1, 2]
    assert 1.5 in ticks(line_chart([line], title="by threshold", x_name="threshold"))


def test_no_share_is_drawn_above_the_whole():
    line = Line("decided", [(0.0, 1.0), (1.0, 1.0)])
    chart = line_chart([line], title="decided", x_name="threshold", y_text=lambda share: f"{share:.0%}", y_most=1.0)
    assert "100%" in chart
    assert "105%" not in chart
