"""A folder for what a notebook writes with %%writefile."""

import os

from workshop.environments import STATE


def folder_of(name):
    """Where a notebook of that name works."""
    return STATE / "files" / name


def work_in_folder_of(name):
    """Make an empty folder of that name in `.workshop/files`, git-ignored, and work there from now on.

    name: of what is written there, such as lab.name("functions"). A notebook that is run again starts with an empty
    folder, so that nothing from the last time is taken for new.
    """
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        left.unlink() if left.is_file() else None
    os.chdir(folder)
