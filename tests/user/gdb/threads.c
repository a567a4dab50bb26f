/* What test_user.py debugs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
static double half(double x) { return x / 2; }
__attribute__((noinline)) int twice(int n) { return n * 2; }
static int global;
static void *thread(void *a) { for (int i = 0; i < 3; i++) { global += twice(i); } return 0; }
int main(void) {
    int sum = 0;
    for (int i = 0; i < 5; i++) { sum += twice(i); }
    pthread_t t; pthread_create(&t, 0, thread, 0); pthread_join(t, 0);
    printf("%d %d %g\n", sum, global, half(sum));
    fflush(stdout);
    if (getenv("WAIT")) {
        for (;;) {
            pause();
        }
    }
    *(volatile int *)8 = 1;
}
