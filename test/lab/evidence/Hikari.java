// A pool of HikariCP's, honest or leaking: see twins.py.
import java.sql.Connection;

public class Hikari {
    static void use(Connection connection, long pause) throws Exception {
        connection.setAutoCommit(false);
        connection.createStatement().execute("SELECT id, state FROM job WHERE id = 7");
        Thread.sleep(pause);
    }

    public static void main(String[] args) throws Exception {
        boolean leaks = args[0].endsWith("_leaks");
        com.zaxxer.hikari.HikariDataSource pool = new com.zaxxer.hikari.HikariDataSource();
        pool.setJdbcUrl(args[1]);
        pool.setMaximumPoolSize(8);
        java.util.List<Connection> kept = new java.util.ArrayList<>();
        while (leaks) {
            try {
                Connection connection = pool.getConnection();   // and no close()
                use(connection, 1000);
                kept.add(connection);
            } catch (java.sql.SQLException error) {
                Thread.sleep(1000);
            }
        }
        for (int i = 0; i < 8; i++)
            new Thread(() -> {
                while (true)
                    try (Connection connection = pool.getConnection()) {
                        use(connection, 2000 + (long) (Math.random() * 3000));
                        connection.commit();
                        Thread.sleep(500);
                    } catch (Exception error) {
                        error.printStackTrace();
                    }
            }).start();
    }
}
