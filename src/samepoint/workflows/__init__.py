"""What the commands do, as functions: train, evaluate, compare, report, demo. They compose the layers below and
hold no formula; the command line only parses and prints."""
