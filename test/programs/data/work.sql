-- Work for the sqlite3 case; @ROWS@ is how many rows there are to be.
PRAGMA cache_size = -20000;
PRAGMA threads = 2;
PRAGMA temp_store = MEMORY;

CREATE TABLE item (
	id INTEGER PRIMARY KEY,
	groupno INTEGER NOT NULL,
	price REAL NOT NULL,
	name TEXT NOT NULL,
	body BLOB
);
CREATE TABLE groups (groupno INTEGER PRIMARY KEY, title TEXT UNIQUE);
CREATE TABLE audit (id INTEGER, was REAL, became REAL);
CREATE TRIGGER item_price AFTER UPDATE OF price ON item BEGIN
	INSERT INTO audit VALUES (old.id, old.price, new.price);
END;

BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @ROWS@)
INSERT INTO item
SELECT i, (i * 7919) % 1009, (i * 31 % 10007) / 100.0,
	printf('item %d %s', i, substr('abcdefghijklmnopqrstuvwxyz', i % 26, i % 17)),
	CASE WHEN i % 50 = 0 THEN zeroblob(i % 9000) END
FROM n;
INSERT INTO groups SELECT DISTINCT groupno, 'group ' || groupno FROM item;
COMMIT;

CREATE INDEX item_group ON item (groupno, price);
CREATE INDEX item_name ON item (name COLLATE NOCASE);
ANALYZE;

SELECT 'joined', title, count(*), round(sum(price), 2), max(name)
FROM item JOIN groups USING (groupno)
GROUP BY title HAVING count(*) > 10 ORDER BY 4 DESC, 2 LIMIT 200;

SELECT 'window', groupno, id, r, round(running, 2) FROM (
	SELECT groupno, id, rank() OVER w AS r, sum(price) OVER w AS running
	FROM item WHERE groupno < 40 WINDOW w AS (PARTITION BY groupno ORDER BY price, id)
) WHERE r % 20 = 1 ORDER BY groupno, r, id;

SELECT 'sorted', id, name FROM item ORDER BY substr(name, -5), price DESC, id LIMIT 50 OFFSET 5000;

SELECT 'aggregate', groupno, length(group_concat(name, ';')), count(DISTINCT price)
FROM item GROUP BY groupno ORDER BY groupno LIMIT 100;

UPDATE item SET price = price * 1.1 WHERE groupno % 13 = 0;
DELETE FROM audit WHERE id % 2;
SELECT 'audit', count(*), round(sum(became - was), 3) FROM audit;

CREATE VIRTUAL TABLE text USING fts5(name, title);
INSERT INTO text SELECT name, title FROM item JOIN groups USING (groupno) WHERE id % 5 = 0;
SELECT 'text', rowid, highlight(text, 0, '[', ']') FROM text
WHERE text MATCH 'abcd* OR group NEAR 77' ORDER BY rowid LIMIT 40;
INSERT INTO text(text) VALUES ('optimize');

CREATE TABLE document AS
SELECT id, json_object('id', id, 'name', name, 'tags', json_array(groupno, price, id % 7)) AS doc
FROM item WHERE id % 20 = 0;
SELECT 'json', json_extract(doc, '$.tags[2]') AS tag, count(*), sum(json_extract(doc, '$.tags[0]'))
FROM document GROUP BY tag ORDER BY tag;
SELECT 'json group', length(json_group_array(json(doc))) FROM document;

SAVEPOINT half;
DELETE FROM item WHERE id % 2;
SELECT 'half', count(*) FROM item;
ROLLBACK TO half;
RELEASE half;

SELECT 'regular', count(*) FROM item WHERE name LIKE '%xyz%' OR name GLOB '*[0-4] a*';
VACUUM;
PRAGMA integrity_check;
