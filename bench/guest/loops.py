# Interpreter loops for bench/run: calls, dictionaries, strings, lists, big integers.
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def sieve(n):
    marks = bytearray([1]) * n
    for i in range(2, int(n ** 0.5) + 1):
        if marks[i]:
            marks[i * i::i] = bytes(len(range(i * i, n, i)))
    return sum(marks) - 2


def words(n):
    counts = {}
    for i in range(n):
        w = "w%d" % (i * 7919 % 1009)
        counts[w] = counts.get(w, 0) + 1
    return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:3]


print(fib(22), sieve(300000), words(100000), (3 ** 20000) % 1000003)
