-- Work for the postgres case; :rows is how many rows there are to be.
SET extra_float_digits = 0;
CREATE TABLE item (id int PRIMARY KEY, groupno int NOT NULL, price numeric(10, 2), name text,
	document jsonb, tags text[]);
INSERT INTO item
SELECT i, (i::bigint * 7919) % 1009, (i % 10007) / 7.0, 'item ' || i || repeat('x', i % 50),
	jsonb_build_object('id', i, 'list', jsonb_build_array(i % 7, i % 11, NULL), 'text', md5(i::text)),
	ARRAY['t' || i % 13, 'u' || i % 17]
FROM generate_series(1, :rows) AS i;
CREATE INDEX ON item (groupno, price);
CREATE INDEX ON item USING gin (document);
CREATE INDEX ON item USING gin (to_tsvector('simple', name));
CREATE INDEX ON item USING hash (name);
ANALYZE item;

SELECT groupno, count(*), sum(price), max(name) FROM item GROUP BY groupno
ORDER BY 3 DESC, 1 LIMIT 30;

SELECT a.groupno, count(*) FROM item a JOIN item b ON a.id = b.id + 1009 AND a.groupno = b.groupno
GROUP BY 1 ORDER BY 1 LIMIT 20;

SELECT id, groupno, rank FROM (
	SELECT id, groupno, rank() OVER (PARTITION BY groupno ORDER BY price DESC, id) AS rank
	FROM item) AS ranked
WHERE rank = 3 ORDER BY groupno LIMIT 20;

SELECT document -> 'list' ->> 0 AS first, count(*), md5(string_agg(document::text, ',' ORDER BY id))
FROM item GROUP BY 1 ORDER BY 1;

SELECT count(*) FROM item WHERE document @> '{"list": [3]}';
SELECT count(*) FROM item WHERE name ~ '^item [0-9]*7x+$';
SELECT md5(string_agg(regexp_replace(name, '([0-9])([0-9])', '\2\1', 'g'), '' ORDER BY id)) FROM item;
SELECT unnest(tags) AS tag, count(*) FROM item GROUP BY 1 ORDER BY 1;
SELECT xmlelement(name list, xmlagg(xmlelement(name item, xmlattributes(id AS id), name) ORDER BY id))
FROM item WHERE id < 20;

CREATE FUNCTION collatz(n bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	steps int := 0;
	seen bigint[] := '{}';
BEGIN
	WHILE n > 1 LOOP
		IF n % 2 = 0 THEN n := n / 2; ELSE n := 3 * n + 1; END IF;
		seen := seen || n;
		steps := steps + 1;
	END LOOP;
	IF steps > 200 THEN
		RAISE EXCEPTION 'long: %', steps;
	END IF;
	RETURN cardinality(seen);
EXCEPTION WHEN raise_exception THEN
	RETURN -1;
END $$;
SELECT sum(collatz(i)), count(*) FILTER (WHERE collatz(i) < 0) FROM generate_series(1, 2000) AS i;

WITH RECURSIVE tree (id, path) AS (
	SELECT 1, ARRAY[1]
	UNION ALL
	SELECT id * 3 + k, path || id FROM tree, generate_series(0, 2) AS k WHERE id < 400)
SELECT count(*), max(cardinality(path)), md5(string_agg(path::text, '' ORDER BY id, path)) FROM tree;

BEGIN;
UPDATE item SET price = price * 2 WHERE groupno < 100;
SAVEPOINT half;
DELETE FROM item WHERE id % 2 = 0;
SELECT count(*), sum(price) FROM item;
ROLLBACK TO half;
COMMIT;
SELECT count(*), sum(price) FROM item;

SELECT factorial(500) % 1000000007 AS big, md5(factorial(1000)::text);
COPY (SELECT id, name FROM item WHERE id % 1000 = 1 ORDER BY id) TO STDOUT WITH (FORMAT csv);
VACUUM (FULL, ANALYZE) item;
SELECT count(*) FROM item;
