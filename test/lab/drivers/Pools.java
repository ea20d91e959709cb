// HikariCP beside a server that ends its connections, as pools.py: see run.
import java.sql.*;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import com.zaxxer.hikari.HikariDataSource;

public class Pools {
    static final int WORKERS = 8;
    static final int PAUSE = 1500;

    public static void main(String[] args) throws Exception {
        long end = System.nanoTime() + (long) (Double.parseDouble(args[1]) * 1e9);
        AtomicInteger calls = new AtomicInteger(), failed = new AtomicInteger();
        HikariDataSource pool = new HikariDataSource();
        pool.setJdbcUrl(args[0]);
        pool.setMaximumPoolSize(WORKERS);
        pool.setAutoCommit(false);
        Thread[] workers = new Thread[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            Random pause = new Random(i);
            workers[i] = new Thread(() -> {
                while (System.nanoTime() < end) {
                    calls.incrementAndGet();
                    try (Connection connection = pool.getConnection()) {
                        connection.createStatement().execute("SELECT 1");
                        connection.commit();
                    } catch (SQLException error) {
                        failed.incrementAndGet();
                        System.err.println(error.getMessage());
                    }
                    try {
                        Thread.sleep(pause.nextInt(PAUSE));
                    } catch (InterruptedException over) {
                        return;
                    }
                }
            });
            workers[i].start();
        }
        for (Thread worker : workers)
            worker.join();
        System.out.println(calls + " " + failed);
        System.exit(0);
    }
}
