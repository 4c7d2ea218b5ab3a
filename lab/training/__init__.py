"""Training studies: many small models (seeds × settings) trained together as one batched model, and what their results are worth.

    seeding --> layers --> models (Mlp, CharacterModel, SequenceClassifier, ConvNet)
                  |           |
           initialisation     |      batches, losses, schedules
                  |           v           |
                  +----> optimisers ----> fit ----> recipe --> tuning --> study --> intervals
                                            |
                                            +---> energy (joules of a training step)

M models trained together share a leading dimension: parameters [M, …], inputs [M, batch, …]. Each draws its parameters, the order of its
data and its dropout from its own seed, so model i of a batch is the model that would have been trained alone, up to floating-point
rounding. Everything here imports torch and belongs to the worker.
"""
