"""The support vector machine that several methods end in, and probabilities from decisions.

Letters in array names: T training clips, Q held-out clips, P numbers of a clip, K classes.
"""

import numpy as np
from sklearn.svm import SVC


def svm_probabilities(
    kernel_TxT: np.ndarray,
    label_T: np.ndarray,
    kernel_QxT: np.ndarray,
    num_classes: int,
    svm_c: float,
) -> np.ndarray:
    """Probabilities (Q, K) of a machine trained on a kernel matrix, classes weighed alike.

    The largest of each row is what SVC.predict says. Classes without a training clip have 0.
    """
    machine = SVC(C=svm_c, kernel="precomputed", class_weight="balanced")
    machine.fit(kernel_TxT, label_T)
    decision = machine.decision_function(kernel_QxT)
    if decision.ndim == 1:
        # Of two classes: above 0 is the second.
        decision = np.stack([-decision, decision], axis=1) / 2
    decision_QxK = np.full((len(decision), num_classes), -np.inf)
    decision_QxK[:, machine.classes_] = decision
    return with_largest(softmax(decision_QxK), machine.predict(kernel_QxT))


def linear_svm_probabilities(
    features_TxP: np.ndarray,
    label_T: np.ndarray,
    features_QxP: np.ndarray,
    num_classes: int,
    svm_c: float,
) -> np.ndarray:
    """The same on the linear kernel of features."""
    kernels = features_TxP @ features_TxP.T, features_QxP @ features_TxP.T
    return svm_probabilities(kernels[0], label_T, kernels[1], num_classes, svm_c)


def about_training_mean(
    features_TxP: np.ndarray, features_QxP: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features of training and held-out clips less the training clips' mean, in their mean length.

    The unit is the root mean square length of the training clips about their mean; clips that are
    all alike become 0.
    """
    mean_P = features_TxP.mean(axis=0)
    length = np.sqrt(((features_TxP - mean_P) ** 2).sum(axis=1).mean())
    unit = length if length > 0 else 1.0
    return (features_TxP - mean_P) / unit, (features_QxP - mean_P) / unit


def softmax(decision_QxK: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """exp(decision / temperature), each row divided by its sum, float32."""
    largest_Qx1 = decision_QxK.max(axis=1, keepdims=True)
    exponential_QxK = np.exp((decision_QxK - largest_Qx1) / temperature)
    return (exponential_QxK / exponential_QxK.sum(axis=1, keepdims=True)).astype(np.float32)


def with_largest(probability_QxK: np.ndarray, prediction_Q: np.ndarray) -> np.ndarray:
    """The same float32 values, the largest of each row at the predicted class.

    Where another class has it, the two change places: the one-against-one votes of an SVM may
    fall on another class than the largest sum of its decisions does.
    """
    changed_QxK = probability_QxK.copy()
    rows_Q, largest_Q = np.arange(len(changed_QxK)), changed_QxK.argmax(axis=1)
    changed_QxK[rows_Q, largest_Q] = probability_QxK[rows_Q, prediction_Q]
    changed_QxK[rows_Q, prediction_Q] = probability_QxK[rows_Q, largest_Q]
    # Equal values: the predicted class gets the next float32 above.
    for row in np.flatnonzero(changed_QxK.argmax(axis=1) != prediction_Q):
        place = row, prediction_Q[row]
        changed_QxK[place] = np.nextafter(changed_QxK[place], np.float32(2))
    return changed_QxK
