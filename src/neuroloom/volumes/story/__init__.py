"""What the reports of the volumes' recipes show and say."""
