"""What the studio shows to others: the page behind a link, and the part of a page where links are made."""
