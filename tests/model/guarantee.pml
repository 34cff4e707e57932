/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guarantee, as the guest sees it
 *
 * A message has two halves, which the guest writes one at a time.  Each is one
 * of two values, so that there are four messages.
 */

#define DATA    1
#define ADDRESS 2
#define one(message) (1 << (message))

typedef View {
    bool masked = true;     /* from the return of the mask write to the unmask write */
    byte holds;             /* the set of messages that the entry holds: during a write the old and
                               the new one, between two halves none */
    bool owed;              /* raised, and not delivered since */
    bool in_use             /* has returned from an unmask once */
}
View view[N];

/* Guest and device stop at some time; then all that is on its way arrives */
bool stopped;

/* False in every state: they give the violated assertion its name */
bool delivered_while_masked, wrong_message, spurious, lost;

#ifdef COUNT
byte raises_left = COUNT;
byte events;                /* raised or replayed, less those delivered */
#define may_raise (raises_left > 0)
#define count_raise() raises_left--; events++
#define count_replay() events++
#define count_delivery() spurious = (events == 0); assert(!spurious); events--
#else
#define may_raise true
#define count_raise() skip
#define count_replay() skip
#define count_delivery() skip
#endif

inline note_raise(v)
{
    count_raise();
    view[v].owed = true
}

/* The one place where the guest gets an interrupt; in an atomic context */
inline deliver(v, msg)
{
    printf("> message %d delivered on %d\n", msg, v);
    count_delivery();
    delivered_while_masked = view[v].masked;
    wrong_message = !view[v].masked && !(view[v].holds & one(msg));
#ifdef CHECK_MASKED
    assert(!delivered_while_masked);
#endif
#ifdef CHECK_MESSAGE
    assert(!wrong_message);
#endif
    /* What was owed is not paid with an old message */
    view[v].owed = view[v].owed && (delivered_while_masked || wrong_message);
    delivered_while_masked = false;
    wrong_message = false
}

#ifdef LIVENESS
#define owed_0 (stopped && view[0].owed && !view[0].masked)
ltl delivered { [] (owed_0 -> <> !owed_0) }
#endif
