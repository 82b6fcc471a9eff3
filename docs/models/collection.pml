/* The collection beside pushes: can it remove what a push was told exists?
 *
 * One blob, two pushers, one collector, at every step of which any other may come between. A pusher asks whether the blob
 * is there (and takes a lease in the same transaction), else uploads it as a new generation; then pushes the manifest
 * that names it. The collector deletes the row of a blob that nobody names and nobody leases, and later unlinks the file
 * of the generation that it saw. `make models` proves that no manifest is refused and none is left without its file;
 * with -DNO_LEASE (asking takes no lease) or -DNO_GENERATION (a file has one name for ever) it must fail.
 */

#define GENERATIONS 4

bool row = false;               /* the blob has a row */
byte generation = 0;            /* which file the row names */
bool file[GENERATIONS];         /* which files are on the disk */
byte next = 0;                  /* the generation of the next upload */
byte leases = 0;                /* leases that are not over */
byte manifests = 0;             /* manifests that name the blob */
bool refused = false;           /* a push was told that its blob is not there, after it was told that it is */

#ifdef NO_LEASE
#define TAKE_LEASE skip
#define END_LEASE skip
#else
#define TAKE_LEASE leases++
#define END_LEASE leases--
#endif

proctype Pusher() {
    byte mine = 0;
    bool told = false;

    /* HEAD: one transaction reads the row and takes the lease. */
    atomic {
        if
        :: row -> told = true; TAKE_LEASE
        :: else -> skip
        fi
    }
    if
    :: told -> skip
    :: else ->
        /* Upload: the file is synced under its own name first, */
        atomic {
#ifdef NO_GENERATION
            mine = 0;
#else
            mine = next; next++;
#endif
            file[mine] = true
        };
        /* then one transaction writes the row, or finds that another push was quicker; its own file goes then. */
        atomic {
            if
            :: !row -> row = true; generation = mine
            :: row && generation != mine -> file[mine] = false
            :: else -> skip
            fi;
            TAKE_LEASE
        }
    fi;
    /* The manifest: one transaction looks for the row and writes the reference. */
    atomic {
        if
        :: row -> manifests++
        :: else -> refused = true
        fi;
        END_LEASE
    };
    /* Later the image may be deleted again. */
    if
    :: atomic { manifests > 0 && !refused -> manifests-- }
    :: skip
    fi
}

proctype Collector() {
    byte seen = 0;
    byte rounds = 0;
    do
    :: rounds < 2 ->
        rounds++;
        /* One transaction deletes the row and notes the file as doomed, */
        if
        :: atomic { row && manifests == 0 && leases == 0 -> row = false; seen = generation };
            /* the file follows, whatever happened meanwhile. */
            file[seen] = false
        :: skip
        fi
    :: else -> break
    od
}

init {
    atomic { run Pusher(); run Pusher(); run Collector() }
}

/* A row, and so every manifest, has its file; and nobody was refused what was promised. */
ltl holds { [] (!refused && (!row || file[generation])) }
