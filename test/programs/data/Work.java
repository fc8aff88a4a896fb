import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import java.util.zip.Deflater;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.Inflater;

/** Work for the java case: prints what it found, the same on every run. */
public final class Work {
    private Work() {
    }

    interface Shape {
        double area();
    }

    record Circle(double radius) implements Shape {
        public double area() {
            return Math.rint(radius * radius * 3);
        }
    }

    record Square(double side) implements Shape {
        public double area() {
            return side * side;
        }
    }

    static String digest(String text) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8))).substring(0, 24);
    }

    static String words(long seed, int scale) throws Exception {
        Random random = new Random(seed);
        Map<String, StringBuilder> words = new TreeMap<>();
        for (int i = 0; i < 200_000 * scale; i++) {
            words.computeIfAbsent("w" + random.nextInt(10_000), key -> new StringBuilder())
                .append((char) ('a' + random.nextInt(26)));
        }
        return digest(words.toString());
    }

    static String expressions(int scale) throws Exception {
        String text = IntStream.range(0, 20_000 * scale)
            .mapToObj(i -> "x".repeat(i % 40) + "-" + i + "@host" + i % 97 + ".example")
            .collect(Collectors.joining(" "));
        Matcher matcher = Pattern.compile("(x+)-(\\d+)@(host\\d+)").matcher(text);
        Map<String, Integer> hosts = new TreeMap<>();
        while (matcher.find()) {
            hosts.merge(matcher.group(3), matcher.group(1).length(), Integer::sum);
        }
        return digest(hosts.toString()) + digest(matcher.replaceAll("$2:$1"));
    }

    /** Direct buffers lie outside the heap: each is a malloc. */
    static long directBuffers(int seed) {
        Random random = new Random(seed);
        List<ByteBuffer> live = new ArrayList<>();
        CRC32C sum = new CRC32C();
        for (int i = 0; i < 3000; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 + random.nextInt(60_000));
            while (buffer.remaining() > 8) {
                buffer.putLong(i * 31L + buffer.position());
            }
            live.add(buffer);
            if (live.size() > 60) {
                sum.update(live.remove(random.nextInt(live.size())).flip());
            }
        }
        return sum.getValue();
    }

    /** The state of a deflater and an inflater is zlib's, from malloc. */
    static long deflaters(int seed) throws Exception {
        byte[] data = new byte[200_000];
        Random random = new Random(seed);
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) ('a' + random.nextInt(1 + i % 20));
        }
        long total = 0;
        for (int level = 1; level <= 9; level++) {
            Deflater deflater = new Deflater(level);
            deflater.setInput(data);
            deflater.finish();
            byte[] packed = new byte[data.length * 2];
            int length = deflater.deflate(packed);
            deflater.end();
            Inflater inflater = new Inflater();
            inflater.setInput(packed, 0, length);
            byte[] unpacked = new byte[data.length];
            if (inflater.inflate(unpacked) != data.length || !Arrays.equals(data, unpacked)) {
                throw new IllegalStateException("level " + level);
            }
            inflater.end();
            total += length;
        }
        return total;
    }

    static boolean gzip(String text) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed.toByteArray()))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).equals(text);
        }
    }

    static final class Loader extends ClassLoader {
        Class<?> again(Class<?> original) throws IOException {
            String name = original.getName();
            try (InputStream in = original.getResourceAsStream(name + ".class")) {
                byte[] code = in.readAllBytes();
                return defineClass(name, code, 0, code.length);
            }
        }
    }

    /** Names no other class of ours, so that any loader can take it. */
    static final class Copied {
        private final String text = "copied".repeat(50);

        @Override
        public String toString() {
            return text;
        }
    }

    /** Metadata of classes, and code compiled for them, comes and goes with their loaders. */
    static int classes() throws Exception {
        int distinct = 0;
        for (int i = 0; i < 150; i++) {
            Class<?> copied = new Loader().again(Copied.class);
            distinct += copied != Copied.class ? 1 : 0;
        }
        return distinct;
    }

    static int manyThreads() throws Exception {
        ConcurrentHashMap<Integer, String> done = new ConcurrentHashMap<>();
        for (int round = 0; round < 10; round++) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                int number = round * 100 + i;
                Thread thread = new Thread(() -> done.put(number, "t".repeat(number)));
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
        return done.values().stream().mapToInt(String::length).sum();
    }

    static double shapes() {
        return IntStream.range(0, 500_000).parallel()
            .mapToObj(i -> i % 2 == 0 ? (Shape) new Circle(i % 100) : new Square(i % 50))
            .mapToDouble(Shape::area).sum();
    }

    static <T> List<T> inParallel(int count, Callable<T> task) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(count);
        List<Future<T>> futures = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            futures.add(pool.submit(task));
        }
        List<T> results = new ArrayList<>();
        for (Future<T> future : futures) {
            results.add(future.get());
        }
        pool.shutdown();
        return results;
    }

    public static void main(String[] arguments) throws Exception {
        int scale = Integer.parseInt(arguments[0]);
        System.out.println("words " + inParallel(4, () -> words(17, scale)));
        System.out.println("expressions " + expressions(scale));
        System.out.println("direct " + inParallel(4, () -> directBuffers(3)));
        System.out.println("deflaters " + inParallel(4, () -> deflaters(5)));
        System.out.println("gzip " + gzip("gzip ".repeat(100_000)));
        System.out.println("classes " + classes());
        System.out.println("threads " + manyThreads());
        System.out.println("shapes " + shapes());
        List<String> sorted = IntStream.range(0, 100_000 * scale).mapToObj(i -> "k" + i * 7919L % 100_003)
            .parallel().sorted().collect(Collectors.toList());
        System.out.println("sorted " + digest(String.join(",", sorted)));
    }
}
