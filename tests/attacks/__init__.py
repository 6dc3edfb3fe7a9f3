"""What somebody hostile may try: each attack is made on purpose, to a server that runs.

    python -m tests.attacks endless-head
    python -m tests.attacks all --database postgresql

Each prints what was seen, and fails where something was let in, taken down or told to the wrong
person. The suite runs the short forms. All traffic stays on the loopback interface, and each attack
is bounded in count and time.
"""
