import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.apache.cassandra.config.DatabaseDescriptor;
import org.apache.cassandra.db.marshal.LongType;
import org.apache.cassandra.db.marshal.UUIDType;
import org.apache.cassandra.dht.Murmur3Partitioner;
import org.apache.cassandra.dht.Token;
import org.apache.cassandra.io.sstable.CQLSSTableWriter;

/**
 * Writes the SSTables of one benchmark table: `TableWriter SHAPE CREATE-TABLE ROWS DIRECTORY`. Each writer gets a
 * subdirectory of its own, numbered from 1; a later one overwrites what earlier ones wrote. Prints "rows partitions".
 */
public final class TableWriter {
    private static final int ROWS_PER_SERIES = 1000;
    private static final int ROWS_PER_PART = 60_000;
    private static final long MICROS_PER_SECOND = 1_000_000;
    /** What Cassandra's sorted writer counts write times from (EncodingStats). Close to it they take two bytes, as in a flush. */
    private static final long STATS_EPOCH_MICROS = 1_442_880_000_000_000L;
    private static final String ORDERS = "bench.orders";
    private static final String KEY = " WHERE customer = :customer AND placed = :placed AND line = :line";

    private final String createTable;
    private final Path directory;
    private final List<CQLSSTableWriter> writers = new ArrayList<>();
    private int directories;
    private long rows;
    private long partitions;

    private TableWriter(String createTable, Path directory) {
        this.createTable = createTable;
        this.directory = directory;
    }

    public static void main(String[] args) throws Exception {
        // The settings of a node, so that the format is the one that it writes: the writer's own are those of a client.
        DatabaseDescriptor.toolInitialization();
        TableWriter table = new TableWriter(args[1], Path.of(args[3]));
        long rows = Long.parseLong(args[2]);
        switch (args[0]) {
            case "wide" -> table.wide(rows);
            case "five" -> table.five(rows);
            case "onepart" -> table.onePartition(rows);
            case "tiny" -> table.tiny(rows);
            default -> throw new IllegalArgumentException("unknown shape " + args[0]);
        }
        table.close();
        System.out.println(table.rows + " " + table.partitions);
        // Cassandra leaves threads behind that are no daemons.
        System.exit(0);
    }

    private void wide(long wanted) throws Exception {
        CQLSSTableWriter writer = writer(wholeRow());
        for (long partition : inTokenOrder(ordersPartitions(wanted))) {
            Orders.each(partition, count(Orders.rowsOf(partition)), order -> whole(writer, order));
        }
    }

    /** Many SSTables with a part of the partition each, to be compacted: the writer keeps a partition in memory. */
    private void onePartition(long wanted) throws Exception {
        Orders.each(0, count(Math.toIntExact(wanted)), order -> {
            if (order.line() % ROWS_PER_PART == 0) {
                close();
                writer(wholeRow());
            }
            whole(writers.get(0), order);
        });
    }

    /**
     * The rows of `wide`, their columns spread over five SSTables: four columns are written twice, the map is replaced
     * as a whole, the set is added to.
     */
    private void five(long wanted) throws Exception {
        CQLSSTableWriter first = writer(insert("status, amount, product, attributes"));
        CQLSSTableWriter second = writer(insert("quantity, due, note"));
        CQLSSTableWriter third = writer(update("receipt = :receipt, tags = tags + :tags"));
        CQLSSTableWriter fourth = writer(insert("status, quantity, attributes"));
        CQLSSTableWriter fifth = writer(update("amount = :amount, shipped = :shipped, tags = tags + :tags"));
        for (long partition : inTokenOrder(ordersPartitions(wanted))) {
            Orders.each(partition, count(Orders.rowsOf(partition)), o -> {
                Orders.Previous old = o.previous();
                Iterator<String> tags = o.tags().iterator();
                Set<String> earlyTags = Set.of(tags.next());
                Set<String> lateTags = Set.of(tags.next(), tags.next());
                first.addRow(o.customer(), o.placed(), o.line(), old.status(), old.amount(), o.product(), old.attributes(), at(o, 0));
                second.addRow(o.customer(), o.placed(), o.line(), old.quantity(), o.due(), o.note(), at(o, 1));
                third.addRow(at(o, 2), o.receipt(), earlyTags, o.customer(), o.placed(), o.line());
                fourth.addRow(o.customer(), o.placed(), o.line(), o.status(), o.quantity(), o.attributes(), at(o, 3));
                fifth.addRow(at(o, 4), o.amount(), o.shipped(), lateTags, o.customer(), o.placed(), o.line());
            });
        }
    }

    private void tiny(long wanted) throws Exception {
        CQLSSTableWriter writer =
                writer("INSERT INTO bench.points (series, position, reading) VALUES (?, ?, ?) USING TIMESTAMP ?");
        long series = Math.max(1, wanted / ROWS_PER_SERIES);
        List<Keyed> keys = LongStream.range(0, series).mapToObj(n -> new Keyed(n, LongType.instance.decompose(n))).toList();
        for (long number : inTokenOrder(keys)) {
            SplittableRandom random = new SplittableRandom(number);
            ByteBuffer key = bytes(number);
            long position = 0;
            for (int i = count(ROWS_PER_SERIES); i > 0; i--) {
                position += 1 + random.nextInt(1000);
                long writtenAt = STATS_EPOCH_MICROS + 128 + random.nextInt(16_000);
                writer.rawAddRow(List.of(key, bytes(position), bytes(random.nextInt(1_000_000)), bytes(writtenAt)));
            }
        }
    }

    private int count(int rowsOfPartition) {
        partitions++;
        rows += rowsOfPartition;
        return rowsOfPartition;
    }

    private static void whole(CQLSSTableWriter writer, Orders.Order o) throws Exception {
        writer.addRow(o.customer(), o.placed(), o.line(), o.status(), o.amount(), o.quantity(), o.product(), o.shipped(), o.due(),
                o.note(), o.receipt(), o.tags(), o.attributes(), o.writtenAt());
    }

    private static long at(Orders.Order order, int writer) {
        return order.writtenAt() + writer * MICROS_PER_SECOND;
    }

    private static ByteBuffer bytes(long value) {
        return ByteBuffer.allocate(Long.BYTES).putLong(0, value);
    }

    private static String wholeRow() {
        return insert("status, amount, quantity, product, shipped, due, note, receipt, tags, attributes");
    }

    private static String insert(String columns) {
        String names = "customer, placed, line, " + columns;
        return "INSERT INTO " + ORDERS + " (" + names + ") VALUES (" + names.replaceAll("\\w+", "?") + ") USING TIMESTAMP ?";
    }

    private static String update(String assignments) {
        return "UPDATE " + ORDERS + " USING TIMESTAMP ? SET " + assignments + KEY;
    }

    /** A writer whose rows must come in token order. It makes one SSTable, and keeps one partition in memory. */
    private CQLSSTableWriter writer(String statement) throws Exception {
        directories++;
        Path own = Files.createDirectories(directory.resolve(Integer.toString(directories)));
        CQLSSTableWriter writer = CQLSSTableWriter.builder().inDirectory(own.toString()).forTable(createTable)
                .withPartitioner(Murmur3Partitioner.instance).using(statement).sorted().build();
        writers.add(writer);
        return writer;
    }

    private void close() throws Exception {
        for (CQLSSTableWriter writer : writers) {
            writer.close();
        }
        writers.clear();
    }

    private record Keyed(long number, ByteBuffer key) {}

    private static List<Keyed> ordersPartitions(long rows) {
        List<Keyed> keys = new ArrayList<>();
        long total = 0;
        for (long partition = 0; total < rows; partition++) {
            keys.add(new Keyed(partition, UUIDType.instance.decompose(Orders.customer(partition))));
            total += Orders.rowsOf(partition);
        }
        return keys;
    }

    private static List<Long> inTokenOrder(List<Keyed> keys) {
        record Placed(Token token, long number) {}
        return keys.stream().map(k -> new Placed(Murmur3Partitioner.instance.getToken(k.key()), k.number()))
                .sorted(Comparator.comparing(Placed::token)).map(Placed::number).toList();
    }
}
