"""Why a score is what it is: heat maps, the parts of a face, stability, cautions, and forensic views."""
