"""A page and an HTTP interface that enlarge pictures. In memory alone: nothing is kept."""
