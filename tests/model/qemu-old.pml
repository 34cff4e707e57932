/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU 11.1.1, hw/vfio/pci.c: two eventfds per vector.  The irqfd listens to
 * one all the time, the main loop to the other, and SET_IRQS moves the vector
 * from one to the other at each mask and unmask.
 */

#define kvm_fd(v) (v)
#define qemu_fd(v) (N + (v))

bool in_use[N];

#ifdef GROWTH
byte nr_vectors = 1;        /* allocated by the host */
#else
#define nr_vectors N
#endif

/*
 * Growth: vector 0 is live when vector 1 is unmasked.  With REFUSE, what is raised during the resize
 * is not looked at, only what becomes of the vector.
 */
bool resizing;
#if defined(GROWTH) && defined(REFUSE)
#define device_may_raise(v) (v == 0 && in_use[0] && !resizing)
#elif defined(GROWTH)
#define device_may_raise(v) (v == 0 && in_use[0])
#else
#define device_may_raise(v) true
#endif
#define waits_for_the_host(v) false

#ifdef USERSPACE
#define unmasked_fd(v) qemu_fd(v)
#else
#define unmasked_fd(v) kvm_fd(v)
#endif

/* vfio_msi_interrupt */
proctype fd_handler(byte v)
{
end:
    do
    :: d_step { !bql && counter[qemu_fd(v)] ->
           bql = true;
           counter[qemu_fd(v)] = false }
       d_step {
           if
           :: is_masked(v) -> table[v].pending = true
           :: else -> msix_notify(v)
           fi;
           bql = false }
    od
}

inline run_timers()
{
    skip
}

/* vfio_enable_vectors: all that are in use, in one request */
inline enable_vectors(i)
{
    set_irqs_enable(nr_vectors);
    i = 0;
    do
    :: i < N ->
        if
        :: in_use[i] && is_masked(i) -> set_irqs_arm(i, qemu_fd(i))
        :: in_use[i] && !is_masked(i) -> set_irqs_arm(i, unmasked_fd(i))
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* vfio_msix_vector_do_use */
inline qemu_use(v, i)
{
    d_step {
        printf("> KVM_SET_GSI_ROUTING\n");
        irqfd[v].route = table[v].message
    }
#ifndef USERSPACE
    if
    :: !in_use[v] -> kvm_irqfd_assign(v)
    :: else
    fi;
#endif
    in_use[v] = true;
    if
#ifdef GROWTH
    :: v >= nr_vectors ->
        resizing = true;
        set_irqs_disable(i);
        nr_vectors = v + 1;
        if
        :: enable_vectors(i)
#ifdef REFUSE
        :: printf("> SET_IRQS: enable %d: refused\n", nr_vectors)
#endif
        fi;
        resizing = false
#endif
    :: v < nr_vectors -> set_irqs_arm(v, unmasked_fd(v))
    fi
}

/* vfio_msix_vector_release */
inline qemu_release(v)
{
    set_irqs_arm(v, qemu_fd(v))
}

/* A message is stored, and nobody is told */
inline qemu_write_message(v, half, i)
{
    table[v].message = table[v].message ^ half
}

#define is_held(v) false
#define msix_forget_hold(v) skip
