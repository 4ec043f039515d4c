import org.apache.cassandra.utils.Clock;

/** Cassandra's wall clock at one instant: deletion times inside INSERTs of collections are then the same in every run. */
public final class FixedClock implements Clock {
    public static final long MILLIS = 1_700_000_000_000L;

    @Override
    public long nanoTime() {
        return System.nanoTime();
    }

    @Override
    public long currentTimeMillis() {
        return MILLIS;
    }
}
