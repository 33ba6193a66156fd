package alluvium.flink;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * The side of Apache Flink in `make bench-flink`: sets state up and does what it is asked to.
 *
 * <p>Each line on standard input is a request, each line on standard output that begins with `=` an
 * answer, some whole numbers. benches/src/contender.rs says more; benches/src/flink/ours.rs answers
 * the same requests on the side of Alluvium, with the same keys, values and order.
 */
public final class Harness {
    /** What answers requests. */
    interface Service {
        long[] answer(String[] request) throws Exception;
    }

    private Harness() {}

    public static void main(String[] arguments) throws Exception {
        // Whatever a library prints must not come among the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Service service = service(arguments);
        say(answers, new long[0]);
        BufferedReader requests =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            say(answers, service.answer(line.trim().split(" ")));
        }
        Backends.deleteFolders();
        // Threads of Flink may still run; their work is of no use any more.
        Runtime.getRuntime().halt(0);
    }

    private static Service service(String[] task) throws Exception {
        switch (task[0]) {
            case "operations":
                return Operations.of(task[1], task[2], Long.parseLong(task[3]));
            case "snapshots":
                return new Snapshots(Long.parseLong(task[2]));
            case "rescaling":
                return new Rescaling(task[1], Long.parseLong(task[2]));
            case "words":
                return new WordCount(Integer.parseInt(task[2]));
            default:
                throw new IllegalArgumentException("no task: " + String.join(" ", task));
        }
    }

    private static void say(PrintStream answers, long[] numbers) {
        StringBuilder line = new StringBuilder("=");
        for (long number : numbers) {
            line.append(' ').append(Long.toUnsignedString(number));
        }
        answers.println(line);
        answers.flush();
    }

    /** A request that nobody understands. */
    static IllegalArgumentException unknown(String[] request) {
        return new IllegalArgumentException("no request: " + String.join(" ", request));
    }
}
