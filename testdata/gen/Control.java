import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.ReflectionException;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/**
 * Keeps one JMX connection to a node and runs nodetool's operations on it, one per line of standard input (fields
 * separated by tabs), each answered by "ok" or "error ...". A nodetool of its own costs a JVM start every time.
 */
public class Control {
    private static final String STRING = "java.lang.String";
    private static final String STRINGS = "[Ljava.lang.String;";

    public static void main(String[] args) throws Exception {
        JMXServiceURL url = new JMXServiceURL("service:jmx:rmi:///jndi/rmi://127.0.0.1:" + args[0] + "/jmxrmi");
        MBeanServerConnection server = JMXConnectorFactory.connect(url).getMBeanServerConnection();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            try {
                run(server, line.split("\t"));
                System.out.println("ok");
            } catch (Exception e) {
                System.out.println("error " + e.toString().replace('\n', ' '));
            }
        }
    }

    /** Waits until the node sees as many nodes alive as given, itself among them, and none that is still joining. */
    private static void awaitLive(MBeanServerConnection server, ObjectName storage, int count) throws Exception {
        List<?> live = List.of();
        for (int i = 0; i < 600; i++) {
            live = (List<?>) server.getAttribute(storage, "LiveNodes");
            List<?> joining = (List<?>) server.getAttribute(storage, "JoiningNodes");
            if (live.size() == count && joining.isEmpty()) {
                return;
            }
            Thread.sleep(200);
        }
        throw new IllegalStateException("alive after two minutes: " + live);
    }

    private static void run(MBeanServerConnection server, String[] words) throws Exception {
        ObjectName storage = new ObjectName("org.apache.cassandra.db:type=StorageService");
        ObjectName compactions = new ObjectName("org.apache.cassandra.db:type=CompactionManager");
        String[] rest = words.length > 2 ? Arrays.copyOfRange(words, 2, words.length) : new String[0];
        switch (words[0]) {
            case "flush":
                server.invoke(storage, "forceKeyspaceFlush", new Object[] {words[1], rest}, new String[] {STRING, STRINGS});
                break;
            case "compact":
                try {
                    server.invoke(storage, "forceKeyspaceCompaction", new Object[] {false, words[1], rest},
                            new String[] {"boolean", STRING, STRINGS});
                } catch (ReflectionException e) {
                    // 2.1 cannot split the output.
                    server.invoke(storage, "forceKeyspaceCompaction", new Object[] {words[1], rest}, new String[] {STRING, STRINGS});
                }
                break;
            case "compactfiles":
                server.invoke(compactions, "forceUserDefinedCompaction", new Object[] {words[1]}, new String[] {STRING});
                break;
            case "disableautocompaction":
                server.invoke(storage, "disableAutoCompaction", new Object[] {words[1], rest}, new String[] {STRING, STRINGS});
                break;
            case "snapshot":
                server.invoke(storage, "takeSnapshot", new Object[] {words[1], rest}, new String[] {STRING, STRINGS});
                break;
            case "awaitlive":
                awaitLive(server, storage, Integer.parseInt(words[1]));
                break;
            case "drain":
                server.invoke(storage, "drain", new Object[0], new String[0]);
                break;
            default:
                throw new IllegalArgumentException("unknown operation " + words[0]);
        }
    }
}
