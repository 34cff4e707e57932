/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU with the series: one eventfd per vector, which VFIO keeps.  What changes
 * is who listens to it, the main loop or an irqfd (hw/vfio/irq-delivery.c).
 */

typedef Delivery {
    bool listening;         /* the main loop has the eventfd */
    bool settling;          /* served by the main loop, the irqfd comes when the guest leaves it alone */
    bool due;               /* the timer attaches it now */
    bool held;              /* msix.c: being rewritten while unmasked, counts as masked */
    bool address_written    /* since then */
}
Delivery delivery[N];

#define is_held(v) delivery[v].held

/*
 * The main loop's handler (vfio_irq_line_take)
 */

/* A timer that has expired comes before the next handler, else a device could hold it off for ever */
#ifdef LIVENESS
#define hold_has_expired(v) (stopped && is_held(v))
#else
#define hold_has_expired(v) false
#endif

proctype fd_handler(byte v)
{
end:
    do
    :: d_step { !bql && delivery[v].listening && counter[v] && !hold_has_expired(v) ->
           bql = true;
           printf("> main loop reads eventfd %d\n", v);
           counter[v] = false }
       d_step {
           if
           :: is_masked(v) || is_held(v) -> table[v].pending = true
           :: else -> msix_notify(v)
           fi;
           bql = false }
    od
}

/*
 * From the main loop to an irqfd (vfio_irq_line_to_irqfd, vfio_irq_delivery_settle)
 */

inline attach(v)
{
    delivery[v].listening = false;
    if
    :: kvm_irqfd_assign(v)
    :: d_step {
        printf("> KVM_IRQFD assign %d: fails\n", v);
        delivery[v].listening = true }
    fi;
    d_step {
        delivery[v].due = false;
        delivery[v].settling = false
    }
}

/* One commit for all; a vector for which there is no route stays with the main loop */
inline commit_routes(v)
{
    atomic {
        for (v : 0 .. N - 1) {
            if
            :: delivery[v].due ->
                printf("> KVM_SET_GSI_ROUTING: route of %d\n", v);
                irqfd[v].route = table[v].message
            :: delivery[v].due ->
                printf("> no route for %d\n", v);
                delivery[v].due = false;
                delivery[v].settling = false
            :: !delivery[v].due
            fi
        }
        v = 0
    }
}

#if N == 1
#define some_settling delivery[0].settling
#else
#define some_settling (delivery[0].settling || delivery[1].settling)
#endif

proctype settle_timer()
{
    byte v;

end:
    do
    :: atomic { !bql && some_settling ->
           bql = true;
           /* The period is over for some of them */
           if
           :: delivery[0].settling -> delivery[0].due = true
#if N > 1
           :: delivery[1].settling -> delivery[1].due = true
           :: delivery[0].settling && delivery[1].settling ->
               delivery[0].due = true;
               delivery[1].due = true
#endif
           fi }
       commit_routes(v);
       do
       :: v < N ->
           if
           :: delivery[v].due -> attach(v)
           :: else
           fi;
           v++
       :: else -> break
       od;
       atomic {
           v = 0;
           bql = false }
    od
}

/*
 * Host vectors (hw/vfio/irq-vectors.c)
 */

typedef Vectors {
    bool wanted;
    bool needs_replay       /* the index was down, and the vector has not been armed since */
}
Vectors vectors[N];

#ifdef GROWTH
byte capacity = 1;          /* allocated by the host */
#else
#define capacity N
#endif

#ifdef REFUSE
#define waits_for_the_host(v) (host_vector[v].trigger == NO_FD && \
                               (device_entry[v].pending || vectors[v].needs_replay || capacity == 0))
#else
#define waits_for_the_host(v) false
#endif

/* What is raised on a vector that never was unmasked cannot be known after a resize */
#ifdef GROWTH
#define device_may_raise(v) view[v].in_use
#else
#define device_may_raise(v) true
#endif

/* write() to the eventfd */
inline replay(v)
{
    atomic {
        if
        :: vectors[v].needs_replay ->
            printf("> replay %d\n", v);
            vectors[v].needs_replay = false;
            count_replay();
            eventfd_signal(v)
        :: else
        fi
    }
}

inline arm(v)
{
    if
    :: set_irqs_arm(v, v); replay(v)
#ifdef REFUSE
    :: printf("> SET_IRQS: arm %d: refused\n", v)
#endif
    fi
}

/* In any order: each may be refused */
inline arm_all(i)
{
    i = 0;
    do
    :: i < capacity ->
        if
        :: vectors[i].wanted && host_vector[i].trigger == NO_FD -> arm(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* What the guest has unmasked once, also what the host has refused, may have been raised in the gap */
inline resize(i, nr)
{
    d_step {
        for (i : 0 .. N - 1) {
            vectors[i].needs_replay = vectors[i].needs_replay || vectors[i].wanted
        }
        i = 0;
        vectors[nr].wanted = true
    }
    set_irqs_disable(i);
    if
    :: set_irqs_enable(nr + 1); capacity = nr + 1
#ifdef REFUSE
    :: printf("> SET_IRQS: enable %d: refused\n", nr + 1);
       if
       :: capacity > 0 -> set_irqs_enable(capacity)
       :: printf("> SET_IRQS: enable: refused\n"); capacity = 0
       fi
#endif
    fi;
    arm_all(i)
}

inline arm_wanted(v, i)
{
    if
#ifdef GROWTH
    :: v >= capacity -> resize(i, v)
#endif
    :: v < capacity && host_vector[v].trigger == NO_FD ->
        vectors[v].wanted = true;
        arm(v)
    :: else
    fi
}

/*
 * What the MSI-X core asks for
 */

/* vfio_irq_delivery_unmask */
inline qemu_use(v, i)
{
    delivery[v].listening = true;
    arm_wanted(v, i);
    delivery[v].settling = true
}

/* vfio_irq_delivery_mask */
inline qemu_release(v)
{
    delivery[v].settling = false;
    if
    :: irqfd[v].assigned ->
        kvm_irqfd_deassign(v);
        delivery[v].listening = true
    :: else
    fi
}

inline msix_forget_hold(v)
{
    d_step {
        delivery[v].held = false;
        delivery[v].address_written = false
    }
}

/*
 * A message that is rewritten while its entry is unmasked (hw/pci/msix.c) is complete when its data
 * is written after its address, or after some time
 */

/* msix_rewrite_end */
inline msix_end_hold(v, i)
{
    printf("> hold of %d ends\n", v);
    msix_forget_hold(v);
    if
    :: !is_masked(v) ->
        qemu_use(v, i);
        msix_deliver_pending(v)
    :: else
    fi
}

/* msix_write_message */
inline qemu_write_message(v, half, i)
{
    if
    :: !is_masked(v) && !is_held(v) ->
        delivery[v].held = true;
        qemu_release(v)
    :: else
    fi;
    table[v].message = table[v].message ^ half;
    if
    :: is_held(v) && half == ADDRESS -> delivery[v].address_written = true
    :: is_held(v) && half == DATA && delivery[v].address_written -> msix_end_hold(v, i)
    :: else
    fi
}

/* Time is no part of the model: the timer is longer than the guest needs between two halves */
proctype hold_timer(byte v)
{
    byte i;

end:
    do
    :: d_step { !bql && delivery[v].held && view[v].holds -> bql = true }
       msix_end_hold(v, i);
       bql = false
    od
}

inline run_timers()
{
#ifndef USERSPACE
    run settle_timer();
#endif
#ifdef REWRITE
    for (v : 0 .. N - 1) {
        run hold_timer(v)
    }
    v = 0
#else
    skip
#endif
}

/*
 * CPR (vfio_irq_delivery_suspend, _adopt): the old QEMU detaches all before it saves the VM, nobody listens, the
 * new one finds the events in the eventfds
 */
inline qemu_handover(v, i)
{
    printf("> old QEMU hands over\n");
    v = 0;
    do
    :: v < N ->
        qemu_release(v);
        delivery[v].listening = false;
        v++
    :: else -> break
    od;
    vm_is_gone = true;
    d_step {
        printf("> new QEMU takes over\n");
        vm_is_gone = false;
        for (v : 0 .. N - 1) {
            irqfd[v].route = NO_ROUTE;
            /* The hold is not handed over, but what is pending tells of it */
            delivery[v].held = table[v].pending && !is_masked(v);
            delivery[v].address_written = false;
            delivery[v].listening = vectors[v].wanted
        }
        v = 0
    }
    do
    :: v < N ->
        if
        :: !is_masked(v) && !is_held(v) -> qemu_use(v, i)
        :: else
        fi;
        v++
    :: else -> break
    od;
    v = 0
}
