import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;

/** TDengine's JDBC driver over REST: writes every type and precision, asks again, and prints what it was told, a line each. */
public final class Main {
    private static final Instant START = Instant.ofEpochSecond(1_700_000_000L);
    private static final String ALL_TYPES = "ts timestamp, up bool, i8 tinyint, i16 smallint, i32 int, i64 bigint, u8 tinyint unsigned,"
        + " u16 smallint unsigned, u32 int unsigned, u64 bigint unsigned, f32 float, f64 double, text varchar(40), wide nchar(20),"
        + " raw varbinary(16), shape geometry(64), price decimal(20, 4), other timestamp";

    public static void main(String[] arguments) throws Exception {
        String host = arguments[0];
        try (Connection connection = connect(host, "", "root", "taosdata"); Statement statement = connection.createStatement()) {
            say("valid", connection.isValid(10));
            say("product", connection.getMetaData().getDatabaseProductName());
            say("version", connection.getMetaData().getDatabaseProductVersion());
            say("created", statement.executeUpdate("create database if not exists jdbc precision 'ns'"));
            types(statement);
            prepared(connection);
            batch(connection);
            describe(connection);
            errors(host, statement);
        }
        for (String precision : List.of("ms", "us", "ns")) {
            precision(host, precision);
        }
        zones(host);
    }

    private static Connection connect(String host, String database, String user, String password) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        return DriverManager.getConnection("jdbc:TAOS-RS://" + host + "/" + database, properties);
    }

    private static void types(Statement statement) throws SQLException {
        say("stable", statement.executeUpdate("create stable jdbc.types (" + ALL_TYPES + ") tags (city nchar(16), floor int, open bool)"));
        say("inserted", statement.executeUpdate("insert into jdbc.low using jdbc.types tags ('東京', -1, true) values"
            + " (1700000000000000001, true, -128, -32768, -2147483648, -9223372036854775808, 0, 0, 0, 0, 10.3, 1e300,"
            + " 'say \\'hi\\', \\\\ back', '涛思 🌊', '\\x0001fe', 'POINT(1 2)', -1234567890123456.7891, 1600000000000000001)"
            + " jdbc.high using jdbc.types tags ('Bern', 2147483647, false) values"
            + " (1700000000000000002, false, 127, 32767, 2147483647, 9223372036854775807, 255, 65535, 4294967295,"
            + " 18446744073709551615, -3.4e38, -1e-300, '', '', '\\xff', 'LINESTRING(0 0, 1 1)', 0.5, '2020-09-13T12:26:40.5Z')"));
        say("inserted", statement.executeUpdate("insert into jdbc.nulls using jdbc.types (city) tags ('Genf') values"
            + " (1700000000000000003" + ", null".repeat(17) + ")"));
        try (ResultSet rows = statement.executeQuery("select * from jdbc.types order by ts")) {
            ResultSetMetaData meta = rows.getMetaData();
            for (int at = 1; at <= meta.getColumnCount(); at++) {
                say("type", meta.getColumnLabel(at) + " " + meta.getColumnTypeName(at));
            }
            while (rows.next()) {
                List<String> values = new ArrayList<>();
                for (int at = 1; at <= meta.getColumnCount(); at++) {
                    Object value = rows.getObject(at);
                    values.add(value instanceof Timestamp ? instant((Timestamp) value)
                        : value instanceof byte[] && !"VARCHAR".equals(meta.getColumnTypeName(at)) ? hex((byte[]) value)
                        : value == null ? "null" : rows.getString(at));
                }
                say("row", String.join("|", values));
            }
        }
        // The driver knows DECIMAL only without its digits, which the server sends: it takes the values for null.
        try (ResultSet rows = statement.executeQuery("select cast(price as varchar(40)) from jdbc.types order by ts")) {
            while (rows.next()) {
                say("price", rows.getString(1));
            }
        }
        try (ResultSet rows = statement.executeQuery("select * from jdbc.high")) {
            rows.next();
            say("numbers", rows.getByte("i8") + " " + rows.getShort("i16") + " " + rows.getInt("i32") + " " + rows.getLong("i64") + " "
                + rows.getLong("u32") + " " + rows.getBigDecimal("u64") + " " + rows.getFloat("f32") + " " + rows.getDouble("f64") + " "
                + rows.getBoolean("up"));
        }
        statement.executeUpdate("create stable jdbc.labelled (ts timestamp, v int) tags (info json)");
        statement.executeUpdate("insert into jdbc.l1 using jdbc.labelled tags ('{\"site\":\"a b\",\"n\":2}') values (now, 1)");
        try (ResultSet rows = statement.executeQuery("select info, info->'site' from jdbc.labelled")) {
            rows.next();
            say("json", rows.getString(1) + " " + rows.getString(2));
        }
    }

    private static void prepared(Connection connection) throws SQLException {
        String text = "insert into jdbc.p using jdbc.types (city, floor) tags (?, ?) (ts, up, i32, i64, f64, text, wide) values (?, ?, ?, ?, ?, ?, ?)";
        try (PreparedStatement insert = connection.prepareStatement(text)) {
            insert.setString(1, "O'Hare");
            insert.setInt(2, 7);
            insert.setTimestamp(3, Timestamp.from(START.plusNanos(4)));
            insert.setBoolean(4, true);
            insert.setInt(5, -5);
            insert.setLong(6, 1L << 53);
            insert.setDouble(7, 0.1);
            insert.setString(8, "it's");
            insert.setNull(9, java.sql.Types.NCHAR);
            say("prepared", insert.executeUpdate());
        }
        try (PreparedStatement ask = connection.prepareStatement("select i32, f64, text, wide from jdbc.types where tbname = ? and i64 > ?")) {
            ask.setString(1, "p");
            ask.setLong(2, 10L);
            try (ResultSet rows = ask.executeQuery()) {
                while (rows.next()) {
                    say("asked", rows.getInt(1) + " " + rows.getDouble(2) + " " + rows.getString(3) + " " + rows.getString(4) + " " + rows.wasNull());
                }
            }
        }
    }

    private static void batch(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("create table jdbc.many (ts timestamp, n bigint, k varchar(4))");
            for (int part = 0; part < 4; part++) {
                StringBuilder text = new StringBuilder("insert into jdbc.many values");
                for (int n = part * 250; n < (part + 1) * 250; n++) {
                    text.append(n % 2 == 0 ? " (" : ", (").append(START.plusSeconds(n).toEpochMilli()).append("000000, ").append(n)
                        .append(", 'k").append(n % 3).append("')");
                }
                statement.addBatch(text.toString());
            }
            say("batch", Arrays.toString(statement.executeBatch()));
            try (ResultSet rows = statement.executeQuery("select n from jdbc.many")) {
                int count = 0;
                while (rows.next()) {
                    count += rows.getInt(1) == count ? 1 : -1_000_000;
                }
                say("read in order", count);
            }
            try (ResultSet rows = statement.executeQuery("select _wstart, _wend, count(*), avg(n) from jdbc.many interval(10m) limit 2")) {
                while (rows.next()) {
                    say("window", instant(rows.getTimestamp(1)) + " " + instant(rows.getTimestamp(2)) + " " + rows.getLong(3) + " " + rows.getDouble(4));
                }
            }
        }
    }

    private static void describe(Connection connection) throws SQLException {
        DatabaseMetaData meta = connection.getMetaData();
        say("catalogs", column(meta.getCatalogs(), "TABLE_CAT").contains("jdbc"));
        say("tables", column(meta.getTables("jdbc", null, "many", new String[] {"TABLE"}), "TABLE_NAME"));
        say("super tables", column(meta.getSuperTables("jdbc", null, "low"), "SUPERTABLE_NAME"));
        say("columns", column(meta.getColumns("jdbc", null, "many", "%"), "COLUMN_NAME") + " "
            + column(meta.getColumns("jdbc", null, "many", "%"), "TYPE_NAME"));
        say("primary key", column(meta.getPrimaryKeys("jdbc", null, "many"), "COLUMN_NAME"));
    }

    private static void errors(String host, Statement statement) {
        for (String text : List.of("nonsense", "select nope from jdbc.many", "select * from jdbc.nowhere", "use nowhere",
            "insert into jdbc.many values (now, 'word', 'k')", "insert into jdbc.many values (now, 1, 'far too long')")) {
            refused("refused", () -> statement.execute(text));
        }
        refused("wrong password", () -> {
            try (Connection connection = connect(host, "", "root", "wrong"); Statement other = connection.createStatement()) {
                other.executeQuery("select 1");
            }
        });
        refused("no such database", () -> connect(host, "nowhere", "root", "taosdata").close());
    }

    private static void precision(String host, String precision) throws SQLException {
        try (Connection connection = connect(host, "", "root", "taosdata"); Statement statement = connection.createStatement()) {
            statement.executeUpdate("create database jdbc_" + precision + " precision '" + precision + "'");
            statement.executeUpdate("create table jdbc_" + precision + ".t (ts timestamp, v int)");
        }
        String text = "insert into t values (?, ?)";
        try (Connection connection = connect(host, "jdbc_" + precision, "root", "taosdata"); PreparedStatement insert = connection.prepareStatement(text)) {
            insert.setTimestamp(1, Timestamp.from(START.plusNanos(123_456_789)));
            insert.setInt(2, 1);
            insert.executeUpdate();
            insert.setTimestamp(1, Timestamp.from(START.minusSeconds(1)));
            insert.setInt(2, 2);
            insert.executeUpdate();
            try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("select ts, v from t")) {
                while (rows.next()) {
                    say("precision " + precision, instant(rows.getTimestamp(1)) + " " + rows.getInt(2));
                }
            }
        }
    }

    /** Over REST the driver tells the server no zone: texts say theirs. */
    private static void zones(String host) throws SQLException {
        try (Connection connection = connect(host, "jdbc_ms", "root", "taosdata"); Statement statement = connection.createStatement()) {
            statement.executeUpdate("create table zoned (ts timestamp, v int)");
            statement.executeUpdate("insert into zoned values ('2023-11-15T06:13:20+08:00', 1) ('2023-11-14T22:13:21Z', 2) ('2023-11-14 22:13:22', 3)");
            try (ResultSet rows = statement.executeQuery("select ts, to_iso8601(ts, '+08:00') from zoned")) {
                while (rows.next()) {
                    say("zone", instant(rows.getTimestamp(1)) + " " + rows.getString(2));
                }
            }
        }
    }

    private interface Action {
        void run() throws SQLException;
    }

    private static void refused(String what, Action action) {
        try {
            action.run();
            say(what, "nothing");
        } catch (SQLException error) {
            say(what, Integer.toHexString(error.getErrorCode()) + " " + error.getMessage().replace("\n", " "));
        }
    }

    private static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) {
            values.add(rows.getString(name));
        }
        return values;
    }

    private static String instant(Timestamp time) {
        return time.toInstant().toString();
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte one : bytes) {
            text.append(String.format("%02x", one));
        }
        return text.toString();
    }

    private static void say(String what, Object told) {
        System.out.println(what + "\t" + told);
    }
}
