"""Speed, as ratios within one run: ``make bench``. README.md tells what each line means and does not."""
