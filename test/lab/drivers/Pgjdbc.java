// pgjdbc: see run.
import java.sql.*;

public class Pgjdbc {
    public static void main(String[] args) throws Exception {
        try (Connection connection = DriverManager.getConnection(args[1])) {
            for (SQLWarning w = connection.getWarnings(); w != null; w = w.getNextWarning())
                System.out.println(w.getMessage());
            if (args[0].equals("warning"))
                return;
            connection.setAutoCommit(false);
            connection.createStatement().execute("SELECT 1");
            Thread.sleep(1000);
            connection.createStatement().execute("SELECT 2");
        } catch (SQLException error) {
            System.out.println(error.getMessage());
        }
    }
}
