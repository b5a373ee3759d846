"""The offline conductor: data, networks, fitting, evaluation, export. Needs the extra [train]."""
