import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.influxdb.BatchOptions;
import org.influxdb.InfluxDB;
import org.influxdb.InfluxDBException;
import org.influxdb.InfluxDBFactory;
import org.influxdb.dto.BatchPoints;
import org.influxdb.dto.BoundParameterQuery.QueryBuilder;
import org.influxdb.dto.Point;
import org.influxdb.dto.Query;
import org.influxdb.dto.QueryResult;

/** The Java library influxdb-java: writes points one by one, at once and in the background, and prints what it reads, a line each. */
public final class Main {
    private static final long START = 1_600_000_000L * 1_000_000_000L;

    public static void main(String[] arguments) throws Exception {
        // MessagePack keeps whole numbers whole; JSON makes every number a double in this library.
        try (InfluxDB packed = InfluxDBFactory.connect(arguments[0], "user", "password",
                new okhttp3.OkHttpClient.Builder(), InfluxDB.ResponseFormat.MSGPACK);
             InfluxDB client = InfluxDBFactory.connect(arguments[0], "user", "password")) {
            say("version", client.version());
            client.query(new Query("CREATE DATABASE java"));
            client.setDatabase("java");
            packed.setDatabase("java");
            client.enableGzip();

            BatchPoints batch = BatchPoints.database("java").build();
            batch.point(point(1).tag("host", "a b,c=d").addField("load", 0.25).addField("n", 1L).addField("up", true)
                .addField("note", "say \"hi\", \\ back").build());
            batch.point(point(2).tag("host", "東京").addField("load", 1e300).addField("n", Long.MIN_VALUE).addField("up", false)
                .addField("note", "東京 🌊").build());
            client.write(batch);
            client.write(point(3).addField("n", Long.MAX_VALUE).build());

            client.enableBatch(BatchOptions.DEFAULTS.actions(300).flushDuration(50));
            for (int n = 0; n < 1000; n++) {
                client.write(Point.measurement("many").time(START + n, TimeUnit.NANOSECONDS).tag("k", String.valueOf(n % 3))
                    .addField("n", (long) n).build());
            }
            client.disableBatch();

            for (List<Object> row : values(packed.query(new Query("SELECT load, n, up, note FROM plain")))) {
                say("row", row);
            }
            say("sum", values(client.query(new Query("SELECT sum(n) FROM many"))));
            say("bound", values(packed.query(QueryBuilder.newQuery("SELECT n FROM plain WHERE host = $host").forDatabase("java")
                .bind("host", "東京").create())));

            CountDownLatch done = new CountDownLatch(1);
            client.query(new Query("SELECT n FROM many"), 400, (cancellable, part) -> {
                if (part.getResults() != null) {
                    say("chunk", values(part).size());
                }
            }, done::countDown);
            say("all chunks", done.await(60, TimeUnit.SECONDS));

            say("refused", client.query(new Query("SELECT x FROM nowhere..m")).getResults().get(0).getError());
            try {
                client.write(point(4).addField("n", "text").build());
                say("conflict", "nothing");
            } catch (InfluxDBException.FieldTypeConflictException error) {
                say("conflict", "refused");
            }
        }
    }

    private static Point.Builder point(int at) {
        return Point.measurement("plain").time(START + at, TimeUnit.NANOSECONDS);
    }

    private static List<List<Object>> values(QueryResult answer) {
        if (answer.hasError()) {
            throw new IllegalStateException(answer.getError());
        }
        return answer.getResults().get(0).getSeries().get(0).getValues();
    }

    private static synchronized void say(String what, Object told) {
        System.out.println(what + "\t" + told);
    }
}
