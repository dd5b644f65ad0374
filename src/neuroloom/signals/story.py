"""What the report of a decoding run shows, and says."""
def illustrate(decode, run, prepared, ensemble):
    from neuroloom.core.report import Facts, write_facts
    write_facts(run.folder, Facts(title="Decoding"))
