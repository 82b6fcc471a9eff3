-- The ledger: entries get their place in a Merkle tree.
--
-- `entries.body` is the entry itself, the very bytes that are hashed. An act writes its entry without a place; the
-- sequencer gives it one (`leaf_index`), once and for ever, and grows the tree in the same transaction.

-- The how-manieth entry of its repository (or of the registry itself) it is.
ALTER TABLE entries ADD COLUMN number INTEGER;
ALTER TABLE entries ADD COLUMN leaf_index INTEGER;
CREATE UNIQUE INDEX entry_of_leaf ON entries (leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX entries_without_leaf ON entries (sequence) WHERE leaf_index IS NULL;
CREATE INDEX entries_of_repository ON entries (registry_id, repository, sequence);

DROP TRIGGER entry_is_fixed;
CREATE TRIGGER entry_is_fixed BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'holdfast: an entry does not change') WHERE NEW.sequence <> OLD.sequence
        OR NEW.registry_id <> OLD.registry_id OR NEW.kind <> OLD.kind OR NEW.repository IS NOT OLD.repository
        OR NEW.tag IS NOT OLD.tag OR NEW.body <> OLD.body OR NEW.number IS NOT OLD.number
        OR OLD.leaf_index IS NOT NULL OR NEW.leaf_index IS NULL;
END;

-- What was too large for an entry, which has its SHA-256.
CREATE TABLE entry_documents (
    sha256  TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

CREATE TRIGGER entry_document_begins BEFORE INSERT ON entry_documents BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM entry_documents WHERE sha256 = NEW.sha256 OR rowid = NEW.rowid);
END;
CREATE TRIGGER entry_document_is_fixed BEFORE UPDATE ON entry_documents BEGIN
    SELECT RAISE(ABORT, 'holdfast: the document of an entry does not change');
END;
CREATE TRIGGER entry_document_stays BEFORE DELETE ON entry_documents BEGIN
    SELECT RAISE(ABORT, 'holdfast: the document of an entry is not deleted');
END;

-- The tree as far as appending needs it, and its last checkpoint. One row.
CREATE TABLE ledger_tree (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    origin         TEXT NOT NULL,
    size           INTEGER NOT NULL CHECK (size >= 0),
    -- The roots of the whole subtrees from left to right, 32 bytes each.
    frontier       BLOB NOT NULL,
    -- The signed note of this size; whether it was published is for the files beside the database to say.
    note           BLOB NOT NULL,
    -- Size of the largest tree that was known to be published when this row was written.
    published_size INTEGER NOT NULL
) STRICT;

CREATE TRIGGER ledger_tree_begins BEFORE INSERT ON ledger_tree BEGIN
    SELECT RAISE(ABORT, 'holdfast: the ledger has one tree') WHERE EXISTS (SELECT 1 FROM ledger_tree);
END;
CREATE TRIGGER ledger_tree_grows BEFORE UPDATE ON ledger_tree BEGIN
    SELECT RAISE(ABORT, 'holdfast: the ledger only grows') WHERE NEW.id <> OLD.id OR NEW.origin <> OLD.origin
        OR NEW.size < OLD.size OR NEW.published_size < OLD.published_size
        OR (NEW.size = OLD.size AND NEW.frontier <> OLD.frontier);
END;
CREATE TRIGGER ledger_tree_stays BEFORE DELETE ON ledger_tree BEGIN
    SELECT RAISE(ABORT, 'holdfast: the tree of the ledger is not deleted');
END;

-- Hash tiles of C2SP tlog-tiles: up to 256 hashes of 32 bytes; partial ones grow at their end.
CREATE TABLE ledger_tiles (
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (level, number)
) STRICT;

CREATE TRIGGER ledger_tile_begins BEFORE INSERT ON ledger_tiles BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tile is never written over') WHERE EXISTS (
        SELECT 1 FROM ledger_tiles WHERE level = NEW.level AND number = NEW.number OR rowid = NEW.rowid);
END;
CREATE TRIGGER ledger_tile_grows BEFORE UPDATE ON ledger_tiles BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tile only grows') WHERE NEW.level <> OLD.level OR NEW.number <> OLD.number
        OR length(NEW.hashes) <= length(OLD.hashes) OR substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes;
END;
CREATE TRIGGER ledger_tile_stays BEFORE DELETE ON ledger_tiles BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tile is not deleted');
END;

-- Keys that the ledger signs with, by their public half; several sign while one takes over from another.
CREATE TABLE ledger_keys (
    vkey     TEXT PRIMARY KEY,
    began_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE TRIGGER ledger_key_ends BEFORE UPDATE ON ledger_keys BEGIN
    SELECT RAISE(ABORT, 'holdfast: a key of the ledger only ends') WHERE NEW.vkey <> OLD.vkey
        OR NEW.began_at <> OLD.began_at OR OLD.ended_at IS NOT NULL;
END;
CREATE TRIGGER ledger_key_stays BEFORE DELETE ON ledger_keys BEGIN
    SELECT RAISE(ABORT, 'holdfast: the record of a key is not deleted');
END;
