"""Every stage that ships with corpusmill: its YAML name, where it lives, and the extra it needs.

This is the only lazy import in the house: a stage's module, with whatever it needs, loads when a config
names it. Other people's packages add theirs through the entry point group `corpusmill.stages`.
"""

from pipeline.stage import StageRef

STAGES: dict[str, StageRef] = {}
