"""The command line."""


def main() -> None:
    """The entry point. Processes that decode import this module, and need none of what follows."""
    from dicom_graph.cli.app import main

    main()
