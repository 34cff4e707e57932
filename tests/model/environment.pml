/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What drives the model: the device, the guest with QEMU's vCPU thread in the
 * accesses that it traps, and the end
 */

/* The liveness check is for a device that goes on for ever */
#ifdef LIVENESS
#define device_runs true
#else
#define device_runs (!stopped)
#endif

proctype device(byte v)
{
end:
    do
    :: d_step { device_runs && may_raise && device_may_raise(v) ->
           note_raise(v);
           if
           :: !device_msix ->
               printf("> device raises %d: dropped, MSI-X is off\n", v)
           :: device_msix && device_entry[v].masked ->
               printf("> device raises %d: masked in hardware, pending there\n", v);
               device_entry[v].pending = true
           :: else ->
               printf("> device raises %d: sent\n", v);
               in_irr[v] = true
           fi }
    od
}

inline return_to_guest()
{
    bql = false
}

inline unmask_entry(v, i)
{
    d_step {
        printf("> guest unmasks %d\n", v);
        table[v].masked = false;
        view[v].masked = function_masked;
        view[v].holds = one(table[v].message)
    }
    if
    :: !is_masked(v) ->
        qemu_use(v, i);
        msix_deliver_pending(v)
    :: else
    fi;
    d_step {
        view[v].in_use = true;
        return_to_guest()
    }
}

inline mask_entry(v)
{
    d_step {
        printf("> guest masks %d\n", v);
        table[v].masked = true
    }
    msix_forget_hold(v);
    if
    :: !function_masked -> qemu_release(v)
    :: else
    fi;
    d_step {
        view[v].masked = true;
        return_to_guest()
    }
}

/* One access for all vectors */
inline set_function_mask(v)
{
    d_step {
        printf("> guest sets the function mask\n");
        function_masked = true
    }
    v = 0;
    do
    :: v < N ->
        if
        :: !table[v].masked && !is_held(v) -> qemu_release(v)
        :: else
        fi;
        v++
    :: else -> break
    od;
    atomic {
        for (v : 0 .. N - 1) {
            view[v].masked = true
        }
        return_to_guest()
    }
}

inline clear_function_mask(v, i)
{
    d_step {
        printf("> guest clears the function mask\n");
        function_masked = false;
        for (v : 0 .. N - 1) {
            view[v].masked = table[v].masked;
            view[v].holds = one(table[v].message)
        }
        v = 0
    }
    do
    :: v < N ->
        if
        :: !table[v].masked && !is_held(v) ->
            qemu_use(v, i);
            msix_deliver_pending(v)
        :: else
        fi;
        v++
    :: else -> break
    od;
    return_to_guest()
}

inline rewrite_masked(v, half, i)
{
    printf("> guest rewrites half %d of %d, masked\n", half, v);
    qemu_write_message(v, half, i);
    return_to_guest()
}

/* Both halves in either order, or one alone; the entry holds the new message after the last */
inline rewrite_unmasked(v, i)
{
    if
    :: half = DATA; rest = 0
    :: half = ADDRESS; rest = 0
    :: half = DATA; rest = ADDRESS
    :: half = ADDRESS; rest = DATA
    fi;
    do
    :: d_step {
           printf("> guest rewrites half %d of %d, unmasked\n", half, v);
           if
           :: rest == 0 -> view[v].holds = view[v].holds | one(table[v].message ^ half)
           :: else
           fi }
       qemu_write_message(v, half, i);
       d_step {
           if
           :: rest == 0 -> view[v].holds = one(table[v].message)
           :: else -> view[v].holds = 0
           fi;
           half = rest;
           rest = 0;
           return_to_guest() }
       if
       :: half == 0 -> break
       :: else -> d_step { !bql -> bql = true }
       fi
    od
}

proctype guest()
{
    byte v, i, half, rest;

end:
    do
    :: atomic { !stopped && !bql ->
           bql = true;
           if
           :: v = 0
#if N > 1
           :: v = 1
#endif
           fi }
       if
       :: table[v].masked -> unmask_entry(v, i)
#ifdef MASK
       :: !table[v].masked -> mask_entry(v)
#endif
#ifdef FUNCTION_MASK
       :: !function_masked -> set_function_mask(v)
       :: function_masked -> clear_function_mask(v, i)
#endif
#ifdef REWRITE
       :: is_masked(v) -> rewrite_masked(v, DATA, i)
       :: is_masked(v) -> rewrite_masked(v, ADDRESS, i)
       :: !is_masked(v) && !is_held(v) -> rewrite_unmasked(v, i)
#endif
#ifdef HANDOVER
       :: qemu_handover(v, i); return_to_guest()
#endif
       :: else -> return_to_guest()
       fi;
       v = 0
    od
}

/*
 * Safety: when nothing can move any more, no vector that the guest has unmasked
 * is owed an interrupt.  If the host refuses a vector, the interrupt waits
 * where the next unmask finds it.
 */
proctype environment()
{
    byte v;

    stopped = true;
#if !defined(LIVENESS) && defined(CHECK_LOST)
    timeout ->
    d_step {
        for (v : 0 .. N - 1) {
            lost = view[v].owed && !view[v].masked && !waits_for_the_host(v);
            assert(!lost)
        }
    }
#endif
}
