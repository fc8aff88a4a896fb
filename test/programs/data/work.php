<?php
// Work for the php case: prints what it found, the same on every run.  Most of it happens in
// extensions, which php loads with RTLD_DEEPBIND: memory passes between them and php both ways.
declare(strict_types=1);

final class Node
{
    /** @var Node[] */
    public array $children = [];
    public ?Node $parent = null;

    public function __construct(public int $value)
    {
    }

    public function add(Node $child): void
    {
        // A cycle, for the collector.
        $child->parent = $this;
        $this->children[] = $child;
    }
}

function show(string $what, mixed $value): void
{
    $text = is_scalar($value) ? (string)$value : serialize($value);
    echo $what, ' ', strlen($text) < 60 ? $text : md5($text), "\n";
}

function next_random(int &$state, int $below): int
{
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return ($state >> 8) % $below;
}

function words(int $scale): void
{
    $state = 42;
    $words = [];
    for ($i = 0; $i < 150000 * $scale; $i++) {
        $key = 'w' . next_random($state, 20000);
        $words[$key] = ($words[$key] ?? '') . chr(97 + next_random($state, 26));
    }
    uksort($words, fn ($a, $b) => strlen($words[$b]) <=> strlen($words[$a]) ?: strcmp($a, $b));
    show('words', $words);
    show('slice', array_slice($words, 100, 500));
}

function expressions(int $scale): void
{
    $text = '';
    for ($i = 1; $i < 20000 * $scale; $i++) {
        $text .= str_repeat('x', $i % 40) . "-$i@host" . ($i % 97) . ".example ";
    }
    show('matches', preg_match_all('/(x+)-(\d+)@(host\d+)/', $text, $found, PREG_SET_ORDER));
    show('found', $found);
    show('changed', preg_replace_callback('/(x+)-(\d+)/',
        fn ($m) => strlen($m[1]) . ':' . strrev($m[2]), $text));
    show('split', preg_split('/[\s@.]+/', $text));
}

function json(int $scale): string
{
    $table = [];
    for ($i = 0; $i < 10000 * $scale; $i++) {
        $table["key$i"] = ['n' => $i, 'list' => [$i, "$i", null, $i * 0.5], 'name' => "größe $i"];
    }
    $text = json_encode($table,
        JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);
    show('json', $text);
    show('json same', json_decode($text, true) === $table);
    return $text;
}

function multibyte(string $text): void
{
    show('upper', mb_strtoupper($text));
    show('utf16', mb_convert_encoding($text, 'UTF-16', 'UTF-8'));
    show('back', mb_convert_encoding(mb_convert_encoding($text, 'UTF-16', 'UTF-8'), 'UTF-8', 'UTF-16') === $text);
    show('split', mb_str_split(mb_substr($text, 1000, 20000), 7));
    show('folded', mb_convert_case($text, MB_CASE_TITLE));
    show('pattern', mb_ereg_replace('größe ([0-9]+)', '<\\1>', mb_substr($text, 0, 50000)));
    show('detect', mb_detect_encoding($text, ['ASCII', 'UTF-8', 'ISO-8859-1'], true));
}

function xml(int $scale): void
{
    $document = new DOMDocument('1.0', 'UTF-8');
    $document->formatOutput = true;
    $root = $document->appendChild($document->createElement('list'));
    for ($i = 0; $i < 3000 * $scale; $i++) {
        $item = $root->appendChild($document->createElement('item'));
        $item->setAttribute('id', "i$i");
        $item->setAttribute('kind', (string)($i % 7));
        $item->appendChild($document->createTextNode(str_repeat("text & <$i> ", $i % 20)));
    }
    $text = $document->saveXML();
    show('xml', $text);

    $path = new DOMXPath($document);
    show('nodes', $path->query('//item[@kind="3"]')->length);
    foreach (iterator_to_array($path->query('//item[@kind="4"]')) as $node) {
        $node->parentNode->removeChild($node);
    }
    show('removed', $document->saveXML());

    $simple = simplexml_load_string($text);
    $sum = 0;
    foreach ($simple->item as $item) {
        $sum += strlen((string)$item) * (1 + (int)$item['kind']);
    }
    show('simple', $sum);

    $depth = 0;
    $parser = xml_parser_create();
    xml_set_element_handler($parser,
        function () use (&$depth) { $depth++; }, function () use (&$depth) { $depth += 2; });
    foreach (str_split($text, 4000) as $part) {
        xml_parse($parser, $part);
    }
    xml_parse($parser, '', true);
    show('parsed', $depth);

    $reader = new XMLReader();
    $reader->XML($text);
    $names = [];
    while ($reader->read()) {
        $names[] = $reader->name . $reader->nodeType;
    }
    show('read', $names);

    $writer = new XMLWriter();
    $writer->openMemory();
    $writer->startElement('w');
    for ($i = 0; $i < 5000; $i++) {
        $writer->writeElement("e$i", str_repeat('&', $i % 50));
    }
    $writer->endElement();
    show('written', $writer->outputMemory());

    libxml_use_internal_errors(true);
    show('broken', simplexml_load_string('<a><b></a>'));
    show('errors', count(libxml_get_errors()));
    libxml_clear_errors();
}

function objects(): void
{
    $sum = 0;
    for ($round = 0; $round < 40; $round++) {
        $root = new Node($round);
        for ($i = 0; $i < 500; $i++) {
            $child = new Node($i);
            $child->add(new Node($i * 2));
            $root->add($child);
        }
        $copy = unserialize(serialize($root));
        foreach ($copy->children as $child) {
            $sum += $child->children[0]->value + $child->parent->value;
        }
        unset($root, $copy);
        gc_collect_cycles();
    }
    show('objects', $sum);
}

function others(string $text): void
{
    show('zlib', gzuncompress(gzcompress($text, 9)) === $text);
    show('iconv', iconv('UTF-8', 'ISO-8859-1', $text));
    show('hash', hash('sha512', $text) . hash('crc32b', $text));
    show('date', (new DateTimeImmutable('2020-01-01 UTC'))->modify('+1000 days')->format(DATE_ATOM));
    show('setlocale', setlocale(LC_ALL, 'C'));
    $heap = new SplMinHeap();
    for ($i = 0; $i < 20000; $i++) {
        $heap->insert($i * 7919 % 20011);
    }
    show('heap', array_map(fn () => $heap->extract(), range(1, 1000)));
    show('generator', array_sum(iterator_to_array((function () {
        for ($i = 0; $i < 20000; $i++) {
            yield $i => strlen(str_repeat('g', $i % 300));
        }
    })())));
    putenv('LANG=C');
    show('env', getenv('LANG'));
    $socket = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    fwrite($socket[0], str_repeat('s', 20000));
    show('socket', strlen(fread($socket[1], 20000)) > 0);
    show('users', posix_getpwuid(0)['name']);
}

$scale = (int)($argv[1] ?? 1);
words($scale);
expressions($scale);
$text = json($scale);
multibyte($text);
xml($scale);
objects();
others($text);
