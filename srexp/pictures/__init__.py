"""Pictures as people have them: every frame, transparency, profile, camera's data; in and out.

`srexp.images` reads what a network is trained on and scored with. Here nothing is laid on white,
and what a file holds beside its pixels is kept.
"""
