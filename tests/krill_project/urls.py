"""The API, the admin, and views outside of the API."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from tests.krill_project.isp import views

router = DefaultRouter()
router.register("cpes", views.CpeViewSet)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v2/isp/", include(router.urls)),
    path("api/function/", views.function_view),
    path("api/django/", views.django_view),
    path("api/edit/<uuid:pk>/", views.edit),
    path("api/view/<str:kind>/", views.Views.as_view()),
    path("api/mixed/<str:kind>/", views.MixedIn.as_view()),
    path("api/errors/<str:kind>/", views.ErrorsOnly.as_view()),
    path("elsewhere/mixed/<str:kind>/", views.MixedIn.as_view()),
    path("elsewhere/mixedset/", views.MixedInSet.as_view({"get": "list", "post": "create"})),
    path("elsewhere/<str:kind>/", views.Views.as_view()),
]
