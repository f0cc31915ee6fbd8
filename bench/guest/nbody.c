/*
 * nbody STEPS: five bodies under gravity, velocity-Verlet steps in double precision; prints the drift of the energy.
 * Scalar SSE2 arithmetic with square roots and divisions. Built statically, run in the guest by bench/run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5 };

struct body {
    double pos[3], vel[3], acc[3], mass;
};

static struct body bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, 1000.0},    {{10, 0, 0}, {0, 10, 0.1}, {0, 0, 0}, 1.0},
    {{0, 20, 1}, {-7, 0, 0}, {0, 0, 0}, 2.0},     {{-30, 0, -1}, {0, -5.7, 0}, {0, 0, 0}, 0.5},
    {{0, -40, 2}, {5, 0, 0.2}, {0, 0, 0}, 3.0},
};

static void accelerate(void)
{
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].acc[k] = 0;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], r2 = 1e-9;
            for (int k = 0; k < 3; k++) {
                d[k] = bodies[j].pos[k] - bodies[i].pos[k];
                r2 += d[k] * d[k];
            }
            double inv = 1.0 / (r2 * sqrt(r2));
            for (int k = 0; k < 3; k++) {
                bodies[i].acc[k] += d[k] * inv * bodies[j].mass;
                bodies[j].acc[k] -= d[k] * inv * bodies[i].mass;
            }
        }
    }
}

static double energy(void)
{
    double e = 0;
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            e += 0.5 * bodies[i].mass * bodies[i].vel[k] * bodies[i].vel[k];
        }
        for (int j = i + 1; j < BODIES; j++) {
            double r2 = 0;
            for (int k = 0; k < 3; k++) {
                double d = bodies[j].pos[k] - bodies[i].pos[k];
                r2 += d * d;
            }
            e -= bodies[i].mass * bodies[j].mass / sqrt(r2);
        }
    }
    return e;
}

int main(int argc, char **argv)
{
    long steps = argc > 1 ? atol(argv[1]) : 1000;
    const double dt = 1e-4;
    double before = energy();
    accelerate();
    for (long s = 0; s < steps; s++) {
        for (int i = 0; i < BODIES; i++) {
            for (int k = 0; k < 3; k++) {
                bodies[i].vel[k] += 0.5 * dt * bodies[i].acc[k];
                bodies[i].pos[k] += dt * bodies[i].vel[k];
            }
        }
        accelerate();
        for (int i = 0; i < BODIES; i++) {
            for (int k = 0; k < 3; k++) {
                bodies[i].vel[k] += 0.5 * dt * bodies[i].acc[k];
            }
        }
    }
    printf("energy before %.12g, drift %.3g\n", before, (energy() - before) / before);
    return 0;
}
