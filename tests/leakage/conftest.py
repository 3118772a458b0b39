"""Twins for the tests of what leaks."""

import asyncio

import pytest
from traces_of_twins import begin
from twin_appliances import VARIANTS, copy_twins, install_twins, still_process


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """Return a function that gives two appliances of a variant, stopped, and what everybody knows of them."""
    prepared = {}

    async def prepare(variant):
        with still_process():
            folders = await install_twins(tmp_path_factory.mktemp("t"), VARIANTS[variant])
            return folders, await begin(folders, VARIANTS[variant])

    def give(variant):
        if variant not in prepared:
            prepared[variant] = asyncio.run(prepare(variant))
        folders, seen = prepared[variant]
        return copy_twins(folders, tmp_path_factory.mktemp("t")), seen

    return give
