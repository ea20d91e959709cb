// pgjdbc, alone or in a pool of HikariCP ("pool" as the third argument): see run.
import java.sql.*;

public class Pgjdbc {
    interface Source {
        Connection get() throws SQLException;
    }

    static int backend(Connection connection) throws SQLException {
        try (ResultSet row = connection.createStatement().executeQuery("SELECT pg_backend_pid()")) {
            row.next();
            return row.getInt(1);
        }
    }

    // Leave a transaction idle, go on, and print what that raised.
    static int rollBack(Connection connection, boolean commit) throws Exception {
        int before = backend(connection);
        connection.setAutoCommit(false);
        connection.createStatement().execute("SELECT 1");
        Thread.sleep(3000);
        try {
            if (commit)
                connection.commit();
            else
                connection.createStatement().execute("SELECT 2");
            System.out.println("no error");
        } catch (SQLException error) {
            System.out.println(error.getMessage());
        }
        connection.rollback();
        return before;
    }

    static void ended(Connection connection, String what) throws Exception {
        for (SQLWarning w = connection.getWarnings(); w != null; w = w.getNextWarning())
            System.out.println(w.getMessage());
        if (what.equals("warning"))
            return;
        connection.setAutoCommit(false);
        connection.createStatement().execute("SELECT 1");
        Thread.sleep(1000);
        connection.createStatement().execute("SELECT 2");
    }

    // HikariCP by name, since it may not be there.
    static Source source(String[] args) throws Exception {
        if (args.length < 3)
            return () -> DriverManager.getConnection(args[1]);
        Class<?> type = Class.forName("com.zaxxer.hikari.HikariDataSource");
        javax.sql.DataSource pool = (javax.sql.DataSource) type.getConstructor().newInstance();
        type.getMethod("setJdbcUrl", String.class).invoke(pool, args[1]);
        type.getMethod("setMaximumPoolSize", int.class).invoke(pool, 1);
        return pool::getConnection;
    }

    public static void main(String[] args) throws Exception {
        Source source = source(args);
        try {
            if (!args[0].equals("statement") && !args[0].equals("commit")) {
                try (Connection connection = source.get()) {
                    ended(connection, args[0]);
                }
                return;
            }
            int before;
            Connection connection = source.get();
            before = rollBack(connection, args[0].equals("commit"));
            if (args.length > 2) {
                connection.close();     // back to the pool
                connection = source.get();
            }
            System.out.println(backend(connection) == before ? "connection kept" : "another connection");
            connection.close();
            System.exit(0);
        } catch (SQLException error) {
            System.out.println(error.getMessage());
        }
    }
}
