"""`samepoint data cache`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from samepoint.data.cache import cache_entries, cache_limit, clear_cache, parse_size, set_limit, shown_size
from samepoint.surroundings import cache_root


@dataclass(frozen=True)
class Cache:
    """Show the cache of decoded frames: where it is, its limit, and what lies in it.

    `clear`: remove all but what a running program uses. `limit`: set its limit for good (20GB, 500MB); what was not
    used longest goes first. The environment variable SAMEPOINT_CACHE_LIMIT goes before it.
    """

    clear: bool = False
    limit: str | None = None

    def run(self) -> None:
        if self.limit is not None:
            set_limit(parse_size(self.limit, "--limit"))
        if self.clear:
            gone, kept = clear_cache()
            print(f"removed {len(gone)} entries, {shown_size(sum(entry.size for entry in gone))}")
            if kept:
                print(f"kept {len(kept)} that a running program uses, or that may not be removed")
        root, entries = cache_root(), cache_entries()
        for entry in entries:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
            print(f"{entry.path.relative_to(root)}  {shown_size(entry.size):>10}  used {when}")
        total = shown_size(sum(entry.size for entry in entries))
        print(f"{root}: {len(entries)} entries, {total} of at most {shown_size(cache_limit())}")
