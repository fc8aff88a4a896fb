-- Work for the mariadb case; @ROWS@ is how many rows there are to be.
CREATE DATABASE bench CHARACTER SET utf8mb4;
USE bench;
CREATE TABLE item (id INT PRIMARY KEY, groupno INT NOT NULL, price DECIMAL(10, 2), name VARCHAR(200),
	body MEDIUMBLOB, KEY (groupno, price), FULLTEXT KEY (name)) ENGINE=InnoDB;
INSERT INTO item SELECT seq, seq * 7919 % 1009, seq % 10007 / 7, concat('item word', seq % 97, ' ',
	repeat('x', seq % 50)), if(seq % 40 = 0, repeat('b', seq % 9000), NULL) FROM seq_1_to_@ROWS@;
ANALYZE TABLE item;

SELECT groupno, count(*), sum(price), max(name) FROM item GROUP BY groupno ORDER BY 3 DESC, 1 LIMIT 30;
SELECT a.groupno, count(*) FROM item a JOIN item b ON a.id = b.id + 1009 AND a.groupno = b.groupno
GROUP BY 1 ORDER BY 1 LIMIT 20;
SELECT id, r FROM (SELECT id, groupno, rank() OVER (PARTITION BY groupno ORDER BY price DESC, id) AS r
	FROM item) AS ranked WHERE r = 3 ORDER BY groupno LIMIT 20;
SELECT count(*) FROM item WHERE match(name) against ('word42' IN BOOLEAN MODE);
SELECT count(*) FROM item WHERE name RLIKE 'word[0-9]*7 x+$';
SELECT md5(group_concat(regexp_replace(name, '([0-9])', '<\\1>') ORDER BY id)) FROM item WHERE id < 5000;

CREATE TABLE document (id INT PRIMARY KEY, doc JSON) ENGINE=Aria;
INSERT INTO document SELECT id, json_object('id', id, 'list', json_array(id % 7, name), 'p', price)
FROM item WHERE id % 20 = 0;
SELECT json_value(doc, '$.list[0]') AS f, count(*), md5(group_concat(doc ORDER BY id)) FROM document
GROUP BY f ORDER BY f;
CREATE TEMPORARY TABLE copy ENGINE=MEMORY AS SELECT id, name FROM item WHERE id % 10 = 0;
SELECT count(*), sum(id) FROM copy;

WITH RECURSIVE tree AS (SELECT 1 AS id, cast('1' AS CHAR(2000)) AS path UNION ALL
	SELECT tree.id * 3 + seq, concat(path, ',', tree.id) FROM tree, seq_0_to_2 WHERE tree.id < 400)
SELECT count(*), max(length(path)), sum(crc32(path)) FROM tree;

START TRANSACTION;
DELETE FROM item WHERE id % 2 = 0;
SELECT count(*) FROM item;
ROLLBACK;
SELECT count(*), sum(price) FROM item;

CREATE TABLE account (id INT PRIMARY KEY, money INT) ENGINE=InnoDB;
INSERT INTO account SELECT seq, 1000 FROM seq_0_to_49;
DELIMITER //
CREATE PROCEDURE transfer(a INT, b INT, amount INT)
BEGIN
	DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK;
	START TRANSACTION;
	SELECT count(*) INTO @locked FROM account WHERE id IN (a, b) FOR UPDATE;
	UPDATE account SET money = money - amount WHERE id = a;
	UPDATE account SET money = money + amount WHERE id = b;
	COMMIT;
END //
DELIMITER ;
OPTIMIZE TABLE item;
CHECKSUM TABLE item, document;
