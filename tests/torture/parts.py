"""The parts of the battery: a literal table. `make test` runs each in its short form, `make torture` in the long."""

from __future__ import annotations

from typing import Final

from torture import (
    chaos,
    clock,
    effects,
    exhaustion,
    failpoints,
    histories,
    interleavings,
    machine,
    planted,
    power,
    real_power,
    storm,
)
from torture.part import Part

PARTS: Final = (
    Part("days", "whole days of a registry, every answer as the model says", machine.days),
    Part("model", "every answer is the reference model's, whatever the order", machine.in_process),
    Part("model-http", "the same of a process that is killed between requests", machine.over_http),
    Part("histories", "concurrent pushes, deletes and switches have an order, also over kill -9", histories.with_kills),
    Part("stops", "a process that is stopped anywhere and goes on: all is answered, in an order", histories.with_stops),
    Part("failpoints", "kill -9 at every named place, then start again", failpoints.kill_at_each),
    Part("kills", "kill -9 anywhere, again and again, also in a start", failpoints.kill_again_and_again),
    Part("effects", "the n-th effect on the disk fails: lost, kept, short, for good", effects.sweep),
    Part("power", "power cuts on a simulated disk that loses all it may", power.cuts),
    Part("interleave", "orders that a storm hits once in a million, made certain", interleavings.all_of_them),
    Part("network", "cut, lost, delayed and repeated requests leave an order", chaos.histories),
    Part("retries", "days over a network that cuts and loses, all sent again", chaos.days),
    Part("clock", "the clock jumps by minutes and days: leases, tokens, order", clock.jumps),
    Part("ext4", "real power cuts of a real file system, ext4", real_power.ext4),
    Part("xfs", "real power cuts of a real file system, xfs", real_power.xfs),
    Part("full-disk", "no room: refused, never half, and on again when there is room", exhaustion.full_disk),
    Part("descriptors", "no file descriptor left: refused, and on again", exhaustion.no_descriptors),
    Part("memory", "little memory and a flood of uploads: refused or restarted, never wrong", exhaustion.no_memory),
    Part("storm", "push, mount, HEAD-then-skip, delete and collect at once", storm.rage),
    Part("planted", "the battery sees planted bugs", planted.all_caught),
)
