/*
 * Telnet on a stream: commands are taken out, 255 is doubled, the other side is asked for a raw line. Specs: RFC 854, 856 to 858.
 */
#include "chardev/chardev_priv.h"

enum { IAC = 255, DONT = 254, WILL = 251, DO = 253, SB = 250, SE = 240, BREAK = 243 };
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_NO_GO_AHEAD = 3 };
enum telnet_state { TEXT, AFTER_CR, COMMAND, OPTION, SUB, SUB_COMMAND };

struct telnet {
    enum telnet_state state;
};

static size_t decode(struct chardev *c, uint8_t *buf, size_t len)
{
    struct telnet *t = c->filter_data;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t b = buf[i];

        switch (t->state) {
        case AFTER_CR:
            t->state = TEXT;
            if (b == 0) {                   /* CR NUL is a carriage return */
                break;
            }
            /* fall through */
        case TEXT:
            if (b == IAC) {
                t->state = COMMAND;
            } else {
                buf[n++] = b;
                t->state = b == '\r' ? AFTER_CR : TEXT;
            }
            break;
        case COMMAND:
            t->state = b == SB ? SUB : b >= WILL && b <= DONT ? OPTION : TEXT;
            if (b == IAC) {
                buf[n++] = b;
            } else if (b == BREAK) {
                chardev_event(c, CHARDEV_BREAK);
            }
            break;
        case OPTION:                        /* we have said what we want, and take what comes */
            t->state = TEXT;
            break;
        case SUB:
            t->state = b == IAC ? SUB_COMMAND : SUB;
            break;
        case SUB_COMMAND:
            t->state = b == SE ? TEXT : SUB;
            break;
        }
    }
    return n;
}

static void encode(struct chardev *c, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        g_byte_array_append(c->pending, &buf[i], 1);
        if (buf[i] == IAC) {
            g_byte_array_append(c->pending, &buf[i], 1);
        }
    }
}

static const struct stream_filter telnet = { decode, encode };

void telnet_start(struct chardev *c)
{
    static const uint8_t wishes[] = { IAC, WILL, OPT_ECHO, IAC, WILL, OPT_NO_GO_AHEAD, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY };

    c->filter = &telnet;
    c->filter_data = g_new0(struct telnet, 1);
    c->pending = g_byte_array_new();
    stream_send_raw(c, wishes, sizeof(wishes));
}
