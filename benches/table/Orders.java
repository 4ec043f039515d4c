import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import org.apache.cassandra.cql3.functions.types.LocalDate;

/** The rows of the order table. A row depends on the seed, its partition and its place in it, and on nothing else. */
final class Orders {
    private static final long SEED = 0x5ca1ab1e;
    private static final int LARGEST_PARTITION = 24;
    private static final long MICROS_PER_DAY = 86_400_000_000L;
    private static final String[] STATUS = {"received", "paid", "packed", "shipped", "delivered", "returned", "cancelled"};
    private static final String[] TAG = {"express", "gift", "fragile", "wholesale", "first-order", "insured", "backorder", "pickup"};
    private static final String[] KEY = {"channel", "coupon", "region", "carrier", "warehouse", "campaign", "device", "locale"};
    private static final String[] SYLLABLE = "ba ce di fo gu la me ni po ru sa te vi wo xu an er il on ust tra plo gri ste".split(" ");
    private static final String[] WORD = words(2000);
    private static final String[] PHRASE = phrases(60);
    /** The part of a receipt that is the same in all of them, as in any serialized object. */
    private static final byte[] RECEIPT_FRAME = new byte[120];

    static {
        fill(new SplittableRandom(SEED), RECEIPT_FRAME, 0);
    }

    /** One row. `previous` are the values of columns before they were overwritten. */
    record Order(UUID customer, Date placed, int line, String status, double amount, int quantity, UUID product, Date shipped,
                 LocalDate due, String note, ByteBuffer receipt, Set<String> tags, Map<String, String> attributes,
                 long writtenAt, Previous previous) {}

    record Previous(String status, double amount, int quantity, Map<String, String> attributes) {}

    interface Sink {
        void accept(Order order) throws Exception;
    }

    static UUID customer(long partition) {
        SplittableRandom random = new SplittableRandom(SEED ^ partition * 0x9e3779b97f4a7c15L);
        return new UUID(random.nextLong() & ~0xf000L | 0x4000, random.nextLong() >>> 2 | Long.MIN_VALUE);
    }

    static int rowsOf(long partition) {
        return new SplittableRandom(partition * 31 + SEED).nextInt(1, LARGEST_PARTITION + 1);
    }

    /** Hands over the rows of a partition in clustering order. */
    static void each(long partition, int rows, Sink sink) throws Exception {
        UUID customer = customer(partition);
        SplittableRandom random = new SplittableRandom(SEED + partition);
        long placed = FixedClock.MILLIS - random.nextLong(400L * 86_400_000);
        for (int line = 0; line < rows; line++) {
            placed += random.nextInt(600_000);
            sink.accept(order(random, customer, placed, line));
        }
    }

    private static Order order(SplittableRandom random, UUID customer, long placed, int line) {
        return new Order(customer, new Date(placed), line, pick(random, STATUS), price(random), 1 + random.nextInt(40),
                new UUID(random.nextLong() & ~0xf000L | 0x4000, random.nextLong() >>> 2 | Long.MIN_VALUE),
                new Date(placed + random.nextInt(400_000_000)),
                LocalDate.fromDaysSinceEpoch((int) (placed / 86_400_000) + random.nextInt(30)), note(random), receipt(random),
                tags(random), attributes(random), FixedClock.MILLIS * 1000 - random.nextLong(100 * MICROS_PER_DAY),
                new Previous(pick(random, STATUS), price(random), 1 + random.nextInt(40), attributes(random)));
    }

    private static String pick(SplittableRandom random, String[] among) {
        return among[random.nextInt(among.length)];
    }

    /** One of a list whose first entries are the most frequent ones. */
    private static String frequent(SplittableRandom random, String[] among) {
        double at = random.nextDouble();
        return among[(int) (at * at * at * among.length)];
    }

    private static double price(SplittableRandom random) {
        return random.nextInt(2_000_000) / 100.0;
    }

    /** Some thirty words, half of them in stock phrases; now and then a comma, rarely a quote or a line break. */
    private static String note(SplittableRandom random) {
        StringBuilder text = new StringBuilder(240);
        int length = 174 + random.nextInt(140);
        while (text.length() < length) {
            text.append(random.nextInt(5) < 2 ? pick(random, PHRASE) : frequent(random, WORD));
            int end = random.nextInt(400);
            text.append(end < 40 ? ", " : end == 40 ? " \"" : end == 41 ? "\n" : " ");
        }
        return text.toString();
    }

    private static ByteBuffer receipt(SplittableRandom random) {
        int length = RECEIPT_FRAME.length + 40 + random.nextInt(50);
        byte[] bytes = Arrays.copyOf(RECEIPT_FRAME, length);
        fill(random, bytes, RECEIPT_FRAME.length);
        return ByteBuffer.wrap(bytes);
    }

    private static void fill(SplittableRandom random, byte[] bytes, int from) {
        long bits = 0;
        for (int i = from; i < bytes.length; i++) {
            if ((i - from) % 8 == 0) {
                bits = random.nextLong();
            }
            bytes[i] = (byte) bits;
            bits >>>= 8;
        }
    }

    private static Set<String> tags(SplittableRandom random) {
        int start = random.nextInt(TAG.length);
        Set<String> tags = new LinkedHashSet<>();
        for (int i = 0; i < 3; i++) {
            tags.add(TAG[(start + i * 3) % TAG.length]);
        }
        return tags;
    }

    private static Map<String, String> attributes(SplittableRandom random) {
        int start = random.nextInt(KEY.length);
        Map<String, String> attributes = new LinkedHashMap<>();
        for (int i = 0; i < 4; i++) {
            attributes.put(KEY[(start + i) % KEY.length], WORD[random.nextInt(WORD.length)]);
        }
        return attributes;
    }

    private static String[] phrases(int count) {
        SplittableRandom random = new SplittableRandom(SEED + 1);
        String[] phrases = new String[count];
        for (int i = 0; i < count; i++) {
            phrases[i] = String.join(" ", frequent(random, WORD), pick(random, WORD), pick(random, WORD), frequent(random, WORD));
        }
        return phrases;
    }

    private static String[] words(int count) {
        SplittableRandom random = new SplittableRandom(SEED);
        Set<String> words = new LinkedHashSet<>();
        while (words.size() < count) {
            StringBuilder word = new StringBuilder();
            for (int syllables = 1 + random.nextInt(4); syllables > 0; syllables--) {
                word.append(pick(random, SYLLABLE));
            }
            words.add(word.toString());
        }
        return words.toArray(String[]::new);
    }
}
