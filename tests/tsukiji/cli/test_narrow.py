import io

from rich.console import Console

from tsukiji.cli.output import print_table


def test_forty_columns_show_whole_names():
    shown = Console(width=40, force_terminal=True, no_color=True, file=io.StringIO())
    name = "cat/a_long_file_name_0001.jpg"
    print_table(["image", "is", "taken for", "score", "loss"], [[name, "cat", "dog", 0.98, 3.4]], shown)
    lines = shown.file.getvalue().splitlines()[1:]
    assert "".join(line.split()[0] for line in lines) == name
    assert max(map(len, lines)) <= 40
